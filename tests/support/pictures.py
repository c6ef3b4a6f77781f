"""Pictures in documents that are drawn from the program's own tables. Pure: `python -m tests.support.pictures`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from larder.declaring.growth import PHASES, GrowthPhase, PhaseFacts
from tables.order_states import MOVES, State, after

INSIDE = 72
"""Characters inside a box."""

ARROW = "   |"


def phases() -> str:
    """Draw the phases of a growth, one box each, from the request to the end."""
    return "\n".join(_phases()) + "\n"


def _phases() -> Iterator[str]:
    yield "larder scale SERVICE --partitions N"
    yield f"{ARROW}--> {GrowthPhase.REFUSED.value}, if a check fails"
    could_cancel = True
    for phase, facts in PHASES.items():
        if could_cancel and not facts.cancel:
            yield f"===|=== the switch: one transaction {'=' * (INSIDE - 33)}"
        could_cancel = facts.cancel
        yield "   v"
        yield from _box(phase, facts)
        if facts.cancel:
            yield f"{ARROW}--> {GrowthPhase.CANCELLED.value}, by command or at the time limit"
        elif phase is not GrowthPhase.DONE:
            yield ARROW


def _box(phase: GrowthPhase, facts: PhaseFacts) -> Iterator[str]:
    yield f"+- {phase.value} {'-' * (INSIDE - len(phase.value) - 1)}+"
    for line in (facts.does, f"joins {facts.joins}", f"lookups {facts.reads}", f"ends {facts.ends}"):
        for part in textwrap.wrap(line, INSIDE, subsequent_indent="  "):
            yield f"| {part:{INSIDE}} |"
    yield f"+{'-' * (INSIDE + 2)}+"


def order_states() -> str:
    """Draw the states of an order: from the first to the last, with the ways off at each."""
    return "\n".join(_states(next(iter(MOVES)))) + "\n"


def _states(state: State) -> Iterator[str]:
    """Draw a state, the states to which an order leaves the main line there, and the rest of the main line."""
    yield state
    targets = list(dict.fromkeys(MOVES[state].values()))
    on = max(targets, key=lambda each: len(after(each)) if each != state else -1, default=None)
    for target in targets:
        happened = " or ".join(name for name, to in MOVES[state].items() if to == target)
        if target == state:
            yield f"{ARROW}    {happened}: stays {state}"
        elif target != on:
            yield f"{ARROW}--> {happened}: {target}"
    if on is not None:
        yield f"{ARROW}    {' or '.join(name for name, to in MOVES[state].items() if to == on)}"
        yield "   v"
        yield from _states(on)


if __name__ == "__main__":
    print(phases(), order_states(), sep="\n", end="")  # noqa: T201 - for the pages
