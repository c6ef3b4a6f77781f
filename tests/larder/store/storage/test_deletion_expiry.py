"""Old deletions are forgotten in steps."""

from datetime import timedelta
from pathlib import Path

import pytest

from larder.store import Table
from larder.store.layout import ROW, TOMBSTONE
from tests.larder.store.samples import gone, opened, row

HOUR = 3_600_000
NOW = 1_000 * HOUR


def remembered(table: Table) -> list[bytes]:
    store = table.shard(0).store
    queued = sum(1 for _ in store.scan_prefix(TOMBSTONE))
    rows = [key[1:] for key, value in store.scan_prefix(ROW) if len(value) < 40]
    assert queued >= len(rows)
    return rows


class Clock:
    """A clock that shows `hours` after NOW."""

    hours = 0.0

    def __call__(self) -> float:
        return (NOW + self.hours * HOUR) / 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


def meet_ends(table: Table, clock: Clock) -> None:
    for partition in table.partitions:
        table.observe(partition, table.position(partition), clock())


def maintained(table: Table) -> list[bytes]:
    while table.maintain(10):
        pass
    return remembered(table)


def test_a_deletion_is_remembered_for_a_day_from_when_it_was_read(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [gone(0, "old", timestamp=NOW)])
    clock.hours = 2
    table.apply(0, [gone(1, "young", timestamp=NOW - 50 * HOUR)])
    clock.hours = 23
    meet_ends(table, clock)
    assert maintained(table) == [b"old", b"young"]
    clock.hours = 25
    meet_ends(table, clock)
    assert maintained(table) == [b"young"]


@pytest.mark.parametrize("old", [NOW - 72 * HOUR, -1])
@pytest.mark.parametrize("together", [True, False])
def test_a_late_record_does_not_bring_a_row_back_after_a_backfill(
    tmp_path: Path, clock: Clock, old: int, *, together: bool
) -> None:
    """A row of revision 5, its deletion of revision 6, both with old times; a record of now; a late one of revision 3.

    A worker that reads them one by one answers what one does that reads them at once later: 404.
    """
    log = [
        row(0, "c1", 5, timestamp=old),
        gone(1, "c1", 6, timestamp=old),
        row(2, "c2", 1, timestamp=NOW),
        row(3, "c1", 3, timestamp=old),
    ]
    table = opened(tmp_path, clock=clock)
    for batch in [log] if together else [[record] for record in log]:
        table.apply(0, batch)
        meet_ends(table, clock)
        maintained(table)
        clock.hours += 0.1
    assert table.raw(b"c1") is None


def test_a_worker_that_was_away_remembers_deletions_for_late_records(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [row(0, "c1", 5), gone(1, "c1", 6)])
    meet_ends(table, clock)
    table.close()
    clock.hours = 50
    table = opened(tmp_path, clock=clock)
    assert maintained(table) == [b"c1"]
    table.apply(0, [row(2, "c1", 3)])
    meet_ends(table, clock)
    assert maintained(table) == []
    assert table.raw(b"c1") is None


def test_a_lagging_partition_still_finds_a_deletion_remembered(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [row(0, "c1", 5), gone(1, "c1", 6)])
    meet_ends(table, clock)
    table.observe(1, 1, clock())
    clock.hours = 25
    table.observe(0, 2, clock())
    assert maintained(table) == [b"c1"]
    table.apply(1, [row(0, "c1", 3)])
    assert table.raw(b"c1") is None


def test_a_store_that_never_reached_its_end_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [gone(0, "c1")])
    clock.hours = 50
    table.observe(0, 2, clock())
    assert maintained(table) == [b"c1"]


@pytest.mark.parametrize("timestamp", [NOW + 1_000 * HOUR, NOW, -1])
def test_no_time_of_a_record_prolongs_a_remembered_deletion(tmp_path: Path, clock: Clock, timestamp: int) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [row(0, "c1", 5, timestamp=timestamp), gone(1, "c1", 6, timestamp=timestamp)])
    clock.hours = 25
    meet_ends(table, clock)
    assert maintained(table) == []


def test_an_end_from_the_future_forgets_nothing_early(tmp_path: Path, clock: Clock) -> None:
    """The wall clock was set back between two runs."""
    table = opened(tmp_path, clock=clock)
    clock.hours = 100
    meet_ends(table, clock)
    clock.hours = 0
    table.apply(0, [gone(0, "c1")])
    assert maintained(table) == [b"c1"]


def test_forgetting_goes_in_bounded_steps(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [gone(n, f"c{n}") for n in range(25)] + [row(25, "x", 1)])
    clock.hours = 25
    meet_ends(table, clock)
    assert table.maintain(10)
    assert len(remembered(table)) == 15
    assert maintained(table) == []
    assert list(table.shard(0).store.scan_prefix(TOMBSTONE)) == []
    assert table.sizes().rows == 1


def test_a_row_that_came_back_survives_the_expiry_of_its_deletion(tmp_path: Path, clock: Clock) -> None:
    table = opened(tmp_path, clock=clock)
    table.apply(0, [gone(0, "c1", 1), row(1, "c1", 2), gone(2, "c2", 1)])
    clock.hours = 2
    table.apply(0, [gone(3, "c2", 2)])
    clock.hours = 25
    meet_ends(table, clock)
    assert maintained(table) == [b"c2"]
    assert table.raw(b"c1") is not None


def test_a_table_without_a_retention_remembers_no_deletions(tmp_path: Path, clock: Clock) -> None:
    before = opened(tmp_path, clock=clock)
    before.apply(0, [row(0, "c1", 1), gone(1, "c1")])
    before.close()
    clock.hours = 0.1
    table = opened(tmp_path, clock=clock, tombstone_retention=timedelta(0))
    assert remembered(table) == [b"c1"]
    table.apply(0, [row(2, "c2", 1), row(3, "c3", 1), gone(4, "c3")])
    table.apply(0, [gone(5, "c2")])
    meet_ends(table, clock)
    assert maintained(table) == []
    assert list(table.shard(0).store.scan_prefix(ROW)) == []
    assert table.position(0) == 6
