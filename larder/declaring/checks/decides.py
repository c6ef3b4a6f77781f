"""Checks of a decide: its state, its inputs, the topics of its events, its function.

Pure: values in, problems out. `topics` checks the topics themselves.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from larder.declaring.checks.functions import accepts, gives, hints_of, is_plain, not_plain, takes, unfit
from larder.declaring.checks.keys import advice, holds_key_of, input_key_problems
from larder.declaring.checks.topics import rekey_problems, type_name
from larder.declaring.decisions import Decision, Delete
from larder.declaring.facts import RESTORE, Facts, wake_ups_name
from larder.declaring.fields import unreadable
from larder.declaring.partition_counts import partitions
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.declaring.sources import Source, events_of, partitioned_by
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.decides import Decide
    from larder.declaring.service import Service


def decide_problems(service: Service, decide: Decide, facts: Facts) -> Iterator[Problem]:
    """Check a decide; skip checks that depend on an unreadable row type."""
    declared = f"{'fold' if decide.folds else 'decide'} {decide.name}"
    yield from state_problems(declared, service, decide)
    yield from _sole_problems(declared, service, decide)
    yield from emit_problems(declared, decide.into)
    if any(unreadable(row) for row in (decide.state.topic.row, *(source.row for source in decide.inputs))):
        return
    for source in decide.inputs:
        yield from _input_problems(declared, decide, source)
    yield from _wake_up_problems(declared, service, decide, facts)
    if decide.function is None:
        yield Problem(declared, "requires a function", "none", "decorate one: @service.decide(...)")
    else:
        yield from _function_problems(declared, decide, decide.function)


def state_problems(declared: str, service: Service, decide: Decide) -> Iterator[Problem]:
    """Check that the state is a co-partitioned table of the service itself."""
    state = decide.state
    if state.service != service.name or state.held != "partition":
        kind = "a global" if state.held == "global" else "a co-partitioned"
        yield Problem(
            declared,
            "a state requires a co-partitioned table of its own service",
            f"{kind} table of {state.service}",
            f"declare it: {service.name}.table(...)",
        )


def _sole_problems(declared: str, service: Service, decide: Decide) -> Iterator[Problem]:
    if sum(other.name == decide.name for other in service.decides) > 1:
        yield Problem(
            declared,
            "a state requires one function, which sees all of its events in their order",
            "several decides",
            "give one of them all inputs, and tell the events apart in its function",
        )
    if not decide.inputs:
        yield Problem(declared, "a decide requires at least one input", "none", "give it a topic of events")


def _input_problems(declared: str, decide: Decide, source: Source) -> Iterator[Problem]:
    declared = f"{declared} by {source.name}"
    if isinstance(source, Rekeyed):
        unknown = list(rekey_problems(declared, source))
        yield from unknown
        if unknown:
            return
    topic, field = decide.state.topic, partitioned_by(source)
    other = list(input_key_problems(declared, source, topic))
    yield from other
    if other:
        return
    if not holds_key_of(topic, source.row, field):
        yield Problem(
            declared,
            f"a key of {topic.name} requires a field of type {topic.key_type.__name__}",
            f"{source.row.__name__}.{field}: {type_name(source.row, field)}",
            advice(source, topic),
        )
    if events_of(source).name == topic.name:
        yield Problem(declared, "a state is no input of its own", topic.name, "decide on events")


def emit_problems(declared: str, into: Sequence[EventTopic | OwnerTopic]) -> Iterator[Problem]:
    """Check that the type of an event determines its topic."""
    rows = Counter(topic.row for topic in into)
    for row, count in rows.items():
        if count > 1:
            yield Problem(
                declared,
                "each topic of `into` requires a row type of its own, which tells where an event goes",
                f"{counted(count, 'topic')} of {row.__name__}",
                "subclass the row type for one of them",
            )


def _wake_up_problems(declared: str, service: Service, decide: Decide, facts: Facts) -> Iterator[Problem]:
    if decide.wakes:
        yield from kept_problems(declared, service, decide, "wake-ups", wake_ups_name(service.name, decide), facts)


def kept_problems(  # noqa: PLR0913, PLR0917 - what is kept, of what, and where
    declared: str, service: Service, decide: Decide, kept: str, name: str, facts: Facts
) -> Iterator[Problem]:
    """Check that what is kept beside a state is in as many partitions."""
    settled = service.counts.get(decide.state.read_from.name)
    found, wanted = facts.get(name), settled or partitions(service, decide.state.read_from, facts)
    if found is not None and found.partitions != wanted:
        yield Problem(
            declared,
            f"{kept} require {counted(wanted, 'partition')} in {name}, as many as {decide.name} has",
            str(found.partitions),
            RESTORE,
        )


def _function_problems(declared: str, decide: Decide, function: Callable[..., Any]) -> Iterator[Problem]:
    name = getattr(function, "__name__", repr(function))
    declared = f"{declared}, function {name}"
    if not is_plain(function):
        yield not_plain(declared, "a decide")
        return
    signature = inspect.signature(function)
    if not (takes(signature, 2) or takes(signature, 3)):
        yield Problem(
            declared,
            "a decide requires a function of the event, the row, and `near` if it is wanted",
            f"{name}{signature}",
            "write two or three parameters",
        )
        return
    hints = hints_of(declared, "a decide", function)
    if isinstance(hints, Problem):
        yield hints
        return
    yield from _type_problems(declared, decide, hints, list(signature.parameters))


def _type_problems(declared: str, decide: Decide, hints: dict[str, Any], names: list[str]) -> Iterator[Problem]:
    event, row = names[:2]
    for source in decide.inputs:
        if not accepts(hints.get(event, Any), source.row, nullable=False):
            yield unfit(declared, f"parameter {event}", f"{source.row.__name__} too", hints[event])
    state = decide.state.topic.row
    if not accepts(hints.get(row, Any), state, nullable=True):
        yield unfit(declared, f"parameter {row}", f"{state.__name__} | None", hints[row])
    given = (state, Delete) if decide.folds else (Decision,)
    if "return" in hints and not gives(hints["return"], *given):
        wanted = " | ".join(each.__name__ for each in given)
        yield unfit(declared, "the result", f"{wanted} | None", hints["return"])
