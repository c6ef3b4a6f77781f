from __future__ import annotations

from larder.local_tables.progress_log import progress_line
from larder.store.partition_state import State


def test_a_recovery_of_over_a_second_logs_rows_rate_remaining_and_expected_end() -> None:
    state = _state(end=300_000, at=10.0)
    state.applied(100_000, rows=90_000)
    assert progress_line([state], 12.0) == "90,000 rows, 45,000 rows/s, 200,000 remaining, end expected in 4 s"


def test_partitions_that_recover_together_are_logged_in_one_line() -> None:
    ahead, behind, empty = _state(end=1_000, at=10.0), _state(end=3_000, at=10.0), State("customers", 2)
    ahead.applied(1_000, rows=1_000)
    behind.applied(1_000, rows=1_000)
    line = progress_line([ahead, behind, empty], 12.0)
    assert line == "2,000 rows, 1,000 rows/s, 2,000 remaining, end expected in 2 s"


def test_the_end_of_a_recovery_without_a_row_is_unknown() -> None:
    line = progress_line([_state(end=1_000, at=10.0)], 12.0)
    assert line == "0 rows, 0 rows/s, 1,000 remaining, end expected at an unknown time"


def test_a_recovery_that_has_just_begun_is_not_logged() -> None:
    assert progress_line([_state(end=1_000, at=10.0)], 10.9) is None


def test_a_table_that_is_caught_up_or_has_no_known_end_is_not_logged() -> None:
    caught_up = _state(end=1_000, at=10.0)
    caught_up.applied(1_000, rows=1_000)
    assert progress_line([caught_up, State("customers", 1)], 20.0) is None


def _state(end: int, at: float) -> State:
    state = State("customers", 0)
    state.observe(end, at)
    return state
