"""Where a table resumes, and when it may have missed deletions."""

from __future__ import annotations

import pytest

from larder.local_tables.horizon import LEAST_RETENTION, LogRange, Resumption, is_late, resumption
from larder.store import State
from larder.store.layout import FullRead, FullReadStage

NOW = 1_000_000.0
WHOLE = FullRead(FullReadStage.DONE, 0, NOW - 1_000, 0)
LATER = FullRead(FullReadStage.DONE, 5, NOW, 0)


@pytest.mark.parametrize(
    ("position", "read", "log", "late", "gaps_allowed", "wanted"),
    [
        (0, None, LogRange(0, 9), False, False, Resumption.READ_AGAIN),
        (0, None, LogRange(1, 9), False, False, Resumption.REFUSE),
        (0, None, LogRange(1, 9), False, True, Resumption.READ_AGAIN),
        (4, WHOLE, LogRange(0, 9), False, False, Resumption.GO_ON),
        (4, WHOLE, LogRange(4, 9), False, False, Resumption.GO_ON),
        (4, WHOLE, LogRange(0, 9), True, False, Resumption.READ_AGAIN),
        # The log is no longer whole, so that deletions cannot be found by comparing.
        (4, WHOLE, LogRange(4, 9), True, False, Resumption.REFUSE),
        (4, WHOLE, LogRange(4, 9), True, True, Resumption.READ_AGAIN),
        (4, WHOLE, LogRange(5, 9), False, False, Resumption.REFUSE),
        (4, WHOLE, LogRange(5, 9), False, True, Resumption.REBUILD),
        (10, WHOLE, LogRange(0, 9), False, False, Resumption.REBUILD),
        (10, WHOLE, LogRange(1, 9), False, False, Resumption.REFUSE),
        (10, WHOLE, LogRange(1, 9), False, True, Resumption.REBUILD),
        (10, LATER, LogRange(5, 9), False, False, Resumption.REBUILD),
        (6, LATER, LogRange(5, 9), True, False, Resumption.READ_AGAIN),
        (6, LATER, LogRange(6, 9), True, False, Resumption.REFUSE),
    ],
)
def test_a_table_resumes_or_is_read_again_or_rebuilt_or_refused(
    position: int, read: FullRead | None, log: LogRange, *, late: bool, gaps_allowed: bool, wanted: Resumption
) -> None:
    assert resumption(position, read, log, late=late, gaps_allowed=gaps_allowed) is wanted


def met_end(ago: float | None) -> State:
    state = State("shop.customers", 0)
    state.opened(1, None if ago is None else NOW - ago)
    return state


@pytest.mark.parametrize(("ago", "late"), [(99, False), (101, True), (None, True), (-99, False), (-101, True)])
def test_a_store_that_missed_the_end_for_longer_than_deletions_are_kept_is_late(
    ago: float | None, *, late: bool
) -> None:
    """A time in the future is from before the clock was set back: how long ago that was is unknown."""
    assert is_late(WHOLE, met_end(ago), NOW, 100.0) is late


def test_during_a_full_read_the_time_of_its_start_counts() -> None:
    assert not is_late(FullRead(FullReadStage.READING, 0, NOW - 99, 0), met_end(500), NOW, 100.0)
    assert is_late(FullRead(FullReadStage.READING, 0, NOW - 101, 0), met_end(0), NOW, 100.0)
    assert is_late(FullRead(FullReadStage.SWEEPING, 0, NOW - 101, 0), met_end(101), NOW, 100.0)


@pytest.mark.parametrize("ago", [None, 500])
def test_a_full_read_that_has_ended_counts_from_its_start_even_if_the_end_was_not_met_since(ago: float | None) -> None:
    """The mirror of a service that is being scaled: it would be read again and again until the service has switched."""
    assert not is_late(FullRead(FullReadStage.DONE, 0, NOW - 99, 0), met_end(ago), NOW, 100.0)
    assert is_late(FullRead(FullReadStage.DONE, 0, NOW - 101, 0), met_end(ago), NOW, 100.0)


def test_a_very_short_delete_retention_is_extended() -> None:
    assert not is_late(WHOLE, met_end(LEAST_RETENTION - 1), NOW, 0.0)
    assert is_late(WHOLE, met_end(LEAST_RETENTION + 1), NOW, 0.0)
