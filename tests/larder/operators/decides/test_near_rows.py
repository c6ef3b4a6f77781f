"""What a decide may read besides its own row."""

from __future__ import annotations

from datetime import UTC, datetime

from larder.operators.decides.near_rows import NearRows


def test_the_time_is_that_of_the_worker_in_utc() -> None:
    seconds = iter([1.5, 2.5])
    near = NearRows("bank", 0, {}, lambda: next(seconds))
    assert [near.now, near.now] == [datetime.fromtimestamp(each, UTC) for each in (1.5, 2.5)]
