"""Full reads: rows that are found stay, all others are removed, and nothing is done twice."""

from pathlib import Path

from larder.store import Phase, Rejected, Table
from larder.store.layout import MET
from tests.larder.store.samples import Sent, gone, opened, row
from tests.larder.store.test_properties import check_indexes


def read_to_the_end(table: Table, partition: int = 0) -> None:
    state = table.state(partition)
    table.observe(partition, state.position, 1_000.0)
    assert state.phase is Phase.RECOVERING
    table.reached_end(partition)


def sweep(table: Table) -> list[bytes]:
    removed: list[bytes] = []
    while (found := table.sweep(2)) is not None:
        removed += found
    return removed


def test_a_first_read_leaves_nothing_to_remove(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [row(0, "c1", 1)])
    assert list(table.shard(0).store.scan_prefix(MET)) == []
    read_to_the_end(table)
    assert table.state(0).phase is Phase.CAUGHT_UP
    assert table.sweep(10) is None
    assert table.sizes().rows == 1


def test_a_row_that_is_found_as_stale_or_unchanged_stays(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1), row(1, "c2", 1), row(2, "c1", 2)])
    table.read_again(0, 0, 1_000.0)
    assert table.raw(b"c1") is not None
    applied = table.apply(0, [row(1, "c2", 1), row(2, "c1", 2)])
    assert (applied.stale, applied.changed_keys) == (2, [])
    table.apply(0, [row(3, "c2", 2)])
    read_to_the_end(table)
    assert sweep(table) == []
    assert table.sizes().rows == 2
    check_indexes(table)


def test_freshness_does_not_improve_until_old_rows_are_removed(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1), row(1, "c2", 1)])
    table.observe(0, 2, 1_000.0)
    state = table.state(0)
    table.read_again(0, 0, 2_000.0)
    table.apply(0, [row(3, "c2", 2)], 4)
    table.observe(0, 4, 2_001.0)
    table.reached_end(0)
    assert table.raw(b"c1") is not None
    assert state.freshness(2_002.0) == 1_002.0
    assert sweep(table) == [b"c1"]
    assert state.freshness(2_002.0) == 1.0


def test_rows_whose_removal_was_interrupted_have_no_freshness(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1)])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [], 1)
    read_to_the_end(table)
    table.close()
    table.open((0, 1), "id-1")
    table.observe(0, 1, 2_000.0)
    assert table.state(0).freshness(2_000.0) is None
    assert sweep(table) == [b"c1"]
    assert table.state(0).freshness(2_000.0) == 0.0


def test_rows_of_a_partition_without_a_full_read_stay(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1, country="AT")])
    table.apply(1, [row(0, "c2", 1, country="AT")])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [], 1)
    read_to_the_end(table)
    assert sweep(table) == [b"c1"]
    assert [found.key for found in table.found_by("country", "AT", limit=10)] == [b"c2"]
    check_indexes(table)


def test_a_row_whose_newest_record_is_rejected_stays_unreadable(table: Table) -> None:
    deletion = Sent(3, b"c2", None, headers=[("larder.revision", b"x")])
    table.apply(0, [row(0, "c1", 1, country="AT"), row(1, "c2", 1), Sent(2, b"c1", b"{"), deletion, row(4, "c3", 1)])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [Sent(2, b"c1", b"{"), deletion], 5)
    read_to_the_end(table)
    assert sweep(table) == [b"c3"]
    assert table.raw(b"c1") is not None
    assert table.sizes().rows == 2
    assert [each.key for each in table.shard(0).unreadable.all(0)] == [b"c1", b"c2"]
    check_indexes(table)


def test_a_row_does_not_stay_for_an_earlier_rejected_record(table: Table) -> None:
    table.apply(0, [Sent(0, b"c1", b"{"), row(1, "c1", 1)])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [Sent(0, b"c1", b"{")], 2)
    read_to_the_end(table)
    assert sweep(table) == [b"c1"]


def test_a_row_stays_when_a_misplaced_record_has_its_key(table: Table) -> None:
    misplaced = Rejected(Sent(1, b"c1", b"{}"), "not of this service")
    table.apply(0, [row(0, "c1", 1), row(3, "c2", 1)], 4, [misplaced])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [row(3, "c2", 1)], 4, [misplaced, Rejected(Sent(2, b"c2", b"{}"), "not of this service")])
    read_to_the_end(table)
    assert sweep(table) == []


def test_a_rejected_record_is_not_kept_twice(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1), Sent(1, b"c1", b"{"), Sent(2, b"c2", b"{")])
    table.read_again(0, 0, 1_000.0)
    applied = table.apply(0, [Sent(1, b"c1", b"{"), Sent(2, b"c2", b"{"), Sent(3, b"c3", b"{")])
    assert ([each.record.offset for each in applied.rejected], applied.repeated) == ([3], 2)
    assert table.sizes().rejected == len(table.rejected(10)) == 3


def test_a_deletion_that_is_read_again_hides_no_later_row(table: Table) -> None:
    records = [row(0, "c1", 1), gone(1, "c1"), row(2, "c1", 2)]
    table.apply(0, records)
    table.read_again(0, 0, 1_000.0)
    assert table.apply(0, records).stale == 3
    assert table.raw(b"c1") is not None


def test_a_removed_row_may_come_back(table: Table) -> None:
    table.apply(0, [row(0, "c1", 5)])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [], 1)
    read_to_the_end(table)
    assert sweep(table) == [b"c1"]
    assert table.apply(0, [row(1, "c1", 1)]).new == 1
    check_indexes(table)
