"""The progress of a recovery: rows, rate, remaining offsets, expected end.

Pure: computed from a `State` and the time.
"""

from collections.abc import Iterable
from typing import NamedTuple

from larder.store.partition_state import State


class Progress(NamedTuple):
    """The progress since the last measurement of the end.

    rows       records applied since then.
    rate       records per second.
    remaining  offsets before the end to reach; None while it is unknown. Offsets, not
               rows: compaction leaves gaps.
    expected   seconds until that end at the rate of offsets so far; 0.0 once it is
               reached, None while it is unknown.
    """

    rows: int
    rate: float
    remaining: int | None
    expected: float | None


def progress(state: State, now: float) -> Progress:
    """Return the progress of a partition; `now` in seconds since 1970."""
    return progress_of([state], now)


def progress_of(states: Iterable[State], now: float) -> Progress:
    """Return the joint progress of partitions whose ends are known."""
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
