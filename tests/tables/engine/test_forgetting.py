"""The memory of deletions goes, in steps, when it is old enough."""

from datetime import timedelta
from pathlib import Path

import pytest

from tables.engine import Table
from tables.engine.layout import ROW, TOMBSTONE
from tests.tables.engine.samples import gone, opened, row, ticking

HOUR = 3_600_000
NOW = 1_000 * HOUR


def remembered(table: Table) -> list[bytes]:
    store = table.part(0).store
    queued = sum(1 for _ in store.scan_prefix(TOMBSTONE))
    rows = [key[1:] for key, value in store.scan_prefix(ROW) if len(value) < 40]
    assert queued >= len(rows)
    return rows


def a_table(directory: Path, now: int = NOW) -> Table:
    return opened(directory, clock=ticking([now / 1000]))


def test_deletions_are_remembered_for_a_day_of_the_topics_own_time(tmp_path: Path) -> None:
    table = a_table(tmp_path)
    table.apply(0, [gone(0, "old", timestamp=NOW - 25 * HOUR), gone(1, "young", timestamp=NOW - 23 * HOUR)])
    assert not table.tend(10)
    table.apply(0, [row(2, "c1", 1, timestamp=NOW)])
    while table.tend(10):
        pass
    assert remembered(table) == [b"young"]


def test_a_partition_that_is_still_being_read_decides_by_its_own_time(tmp_path: Path) -> None:
    table = a_table(tmp_path)
    table.apply(1, [row(0, "c1", 1, timestamp=NOW)])
    table.apply(0, [gone(0, "old", timestamp=NOW - 50 * HOUR)])
    assert not table.tend(10)
    assert remembered(table) == [b"old"]


def test_a_record_from_the_future_forgets_nothing_early(tmp_path: Path) -> None:
    table = a_table(tmp_path)
    table.apply(0, [gone(0, "c1", timestamp=NOW - HOUR), row(1, "c2", 1, timestamp=NOW + 1_000 * HOUR)])
    assert not table.tend(10)
    assert remembered(table) == [b"c1"]


def test_forgetting_goes_in_bounded_steps(tmp_path: Path) -> None:
    table = a_table(tmp_path)
    table.apply(0, [gone(n, f"c{n}", timestamp=HOUR) for n in range(25)] + [row(25, "x", 1, timestamp=NOW)])
    assert table.tend(10)
    assert len(remembered(table)) == 15
    while table.tend(10):
        pass
    assert remembered(table) == []
    assert list(table.part(0).store.scan_prefix(TOMBSTONE)) == []
    assert table.sizes().rows == 1


def test_a_row_that_came_back_is_not_forgotten_with_its_earlier_deletion(tmp_path: Path) -> None:
    table = a_table(tmp_path)
    table.apply(0, [gone(0, "c1", 1, timestamp=HOUR), row(1, "c1", 2, timestamp=2 * HOUR)])
    table.apply(0, [gone(2, "c2", 1, timestamp=HOUR), gone(3, "c2", 2, timestamp=NOW - HOUR)])
    table.apply(0, [row(4, "x", 1, timestamp=NOW)])
    while table.tend(10):
        pass
    assert table.raw(b"c1") is not None
    assert remembered(table) == [b"c2"]


@pytest.mark.parametrize("timestamp", [NOW - 72 * HOUR, -1])
@pytest.mark.parametrize("together", [True, False])
def test_the_memory_of_a_deletion_counts_from_when_it_was_appended(
    tmp_path: Path, timestamp: int, *, together: bool
) -> None:
    table = a_table(tmp_path)
    before, deletion = row(0, "c1", 5, timestamp=NOW), gone(1, "c1", 6, timestamp=timestamp)
    for batch in [[before, deletion]] if together else [[before], [deletion]]:
        table.apply(0, batch)
    assert not table.tend(10)
    table.apply(0, [row(2, "c1", 3, timestamp=NOW)])
    assert table.raw(b"c1") is None
    table.apply(0, [row(3, "c2", 1, timestamp=NOW + 25 * HOUR)])
    assert not table.tend(10), "the clock has not come that far"


def test_the_memory_of_a_deletion_with_an_old_time_goes_after_the_retention(tmp_path: Path) -> None:
    times = [NOW / 1000]
    table = opened(tmp_path, clock=ticking(times))
    table.apply(0, [row(0, "c1", 5, timestamp=NOW), gone(1, "c1", 6, timestamp=-1)])
    table.apply(0, [row(2, "c2", 1, timestamp=NOW + 25 * HOUR)])
    times[0] += 25 * HOUR / 1000
    assert table.tend(10)
    assert remembered(table) == []


def test_a_record_from_the_future_keeps_no_later_deletion_for_longer(tmp_path: Path) -> None:
    times = [NOW / 1000]
    table = opened(tmp_path, clock=ticking(times))
    table.apply(0, [row(0, "c1", 1, timestamp=NOW + 1_000 * HOUR), gone(1, "c2", timestamp=NOW - HOUR)])
    times[0] += 25 * HOUR / 1000
    assert table.tend(10)
    assert remembered(table) == []


def test_a_table_without_a_retention_remembers_no_deletion_and_forgets_those_of_before(tmp_path: Path) -> None:
    before = a_table(tmp_path)
    before.apply(0, [row(0, "c1", 1, timestamp=NOW), gone(1, "c1", timestamp=NOW)])
    before.close()
    table = opened(tmp_path, clock=ticking([NOW / 1000 + 1]), tombstone_retention=timedelta(0))
    assert remembered(table) == [b"c1"]
    table.apply(0, [row(2, "c2", 1, timestamp=NOW), row(3, "c3", 1, timestamp=NOW + 1), gone(4, "c3")])
    table.apply(0, [gone(5, "c2")])
    while table.tend(10):
        pass
    assert remembered(table) == []
    assert list(table.part(0).store.scan_prefix(ROW)) == []
    assert table.position(0) == 6
