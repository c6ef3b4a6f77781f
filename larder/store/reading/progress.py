"""How a recovery goes on: rows, rate, remaining, expected end; worked out when asked.

Pure: a `State` and the time to numbers. It keeps nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from larder.store.partition_state import State


class Progress(NamedTuple):
    """From the last measurement of the end until now.

    rows       records applied since then.
    rate       records a second.
    remaining  offsets before the end that is to be met; None while it is unknown.
               Offsets, not rows: compaction leaves holes.
    expected   seconds until that end is met at the rate of offsets so far; 0.0 when it
               is met, None while nothing can be said.
    """

    rows: int
    rate: float
    remaining: int | None
    expected: float | None


def progress(state: State, now: float) -> Progress:
    """Work out how a partition gets on; `now` in seconds since 1970."""
    return progress_of([state], now)


def progress_of(states: Iterable[State], now: float) -> Progress:
    """Work out how partitions get on that are read side by side, those whose end is known."""
    measured = [(state, state.target, state.measured_at) for state in states]
    known = [(state, target, at) for state, target, at in measured if target is not None and at is not None]
    if not known:
        return Progress(0, 0.0, None, None)
    elapsed = now - min(at for _, _, at in known)
    rows = sum(state.rows - state.measured_rows for state, _, _ in known)
    remaining = sum(max(0, target - state.position) for state, target, _ in known)
    passed = sum(state.position - state.measured_position for state, _, _ in known)
    if remaining == 0:
        expected: float | None = 0.0
    else:
        expected = remaining * elapsed / passed if passed > 0 and elapsed > 0 else None
    return Progress(rows, rows / elapsed if elapsed > 0 else 0.0, remaining, expected)
