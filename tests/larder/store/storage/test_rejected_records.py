"""Rejected records are kept with cause and coordinates, within bounds, and until they are published."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.store import LimitError, Rejected, Table
from larder.store.storage import rejected_records as module
from tests.larder.store.samples import Sent, by_partition, opened, row


def bad(offset: int, *, timestamp: int = 1_000, size: int = 1) -> Sent:
    return Sent(offset, b"c1", b"{" * size, timestamp, [("trace", b"t1"), ("null", None)])


def places(table: Table, limit: int = 10_000) -> list[tuple[int, int]]:
    return [(each.partition, each.offset) for each in table.rejected(limit)]


def test_a_rejected_record_is_kept_unchanged_with_its_cause(table: Table) -> None:
    table.apply(1, [row(4, "before", 1), bad(5), row(6, "after", 1)])
    (kept,) = table.rejected(10)
    assert (kept.partition, kept.offset, kept.timestamp) == (1, 5, 1_000)
    assert (kept.key, kept.value, kept.headers) == (b"c1", b"{", [("trace", b"t1"), ("null", None)])
    assert "requires JSON" in kept.cause
    assert table.sizes().rejected == 1


def test_rejected_records_without_key_or_value_are_kept(table: Table) -> None:
    table.apply(0, [Sent(0, None, None), Sent(1, b"\xff", None)])
    assert [(each.key, each.value) for each in table.rejected(10)] == [(b"\xff", None), (None, None)]


def test_rejected_records_survive_the_process_and_are_kept_once(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [bad(0), bad(1)])
    table.apply(0, [bad(0), bad(1), bad(2)])
    table.close()
    again = opened(tmp_path)
    again.apply(0, [bad(1), bad(2)])
    assert places(again) == [(0, 2), (0, 1), (0, 0)]
    assert again.sizes().rejected == 3


def test_the_newest_rejected_records_of_all_partitions_come_first(tmp_path: Path) -> None:
    table = by_partition(tmp_path)
    table.apply(0, [bad(0, timestamp=10), bad(1, timestamp=40)])
    table.apply(1, [bad(7, timestamp=20), bad(8, timestamp=30)])
    assert places(table, 3) == [(0, 1), (1, 8), (1, 7)]
    with pytest.raises(LimitError):
        table.rejected(0)


@given(batches=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=12))
def test_only_the_newest_rejected_records_are_kept_and_counted(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MOST_RECORDS", 6)
        table = opened(tmp_path_factory.mktemp("store"), partitions=(0, 1, 2))
        ends = [0, 0, 0]
        for partition, count in batches:
            table.apply(partition, [bad(ends[partition] + at) for at in range(count)])
            ends[partition] += count
        kept = places(table)
        assert len(kept) == table.sizes().rejected == min(6, sum(ends))
        for partition, end in enumerate(ends):
            own = sorted(offset for number, offset in kept if number == partition)
            assert own == list(range(end - len(own), end))
        table.close()


def test_large_records_are_bounded_by_their_bytes(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    table.apply(0, [bad(0, size=3_000), bad(1, size=3_000)])
    table.apply(1, [bad(0, size=6_000)])
    assert places(table) == [(1, 0), (0, 1)]
    table.apply(0, [bad(2, size=20_000)])
    assert places(table) == [(1, 0), (0, 1)]
    assert table.position(0) == 3


def unpublished(table: Table, partition: int) -> Sequence[int]:
    return [each.offset for each in table.shard(partition).rejected_records.unpublished(partition)]


def test_rejected_records_of_a_co_partitioned_table_are_queued_until_published(tmp_path: Path) -> None:
    table = by_partition(tmp_path)
    table.apply(0, [bad(0), row(1, "c1", 1), bad(2)])
    table.apply(1, [bad(0)])
    table.shard(0).rejected_records.published(0, [0])
    table.close()
    again = by_partition(tmp_path)
    assert (unpublished(again, 0), unpublished(again, 1)) == ([2], [0])
    again.shard(0).rejected_records.published(0, [2])
    assert (unpublished(again, 0), unpublished(again, 1)) == ([], [0])
    assert places(again) == [(1, 0), (0, 2), (0, 0)]


def test_a_global_table_publishes_no_rejected_records(table: Table) -> None:
    table.apply(0, [bad(0)])
    assert unpublished(table, 0) == []


def test_dropped_rejected_records_are_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 2)
    table = by_partition(tmp_path)
    table.apply(0, [bad(offset) for offset in range(2)])
    table.apply(0, [bad(offset) for offset in range(2, 5)])
    assert unpublished(table, 0) == [3, 4]


def test_misplaced_records_are_rejected_among_the_others(table: Table) -> None:
    misplaced = Rejected(row(1, "c7", 1), "elsewhere")
    applied = table.apply(0, [row(0, "c1", 1), bad(2), row(3, "c2", 1)], None, [misplaced])
    assert [each.record.offset for each in applied.rejected] == [1, 2]
    assert applied.changed_keys == [b"c1", b"c2"]
    assert [(each.offset, each.cause) for each in table.rejected(10)][1] == (1, "elsewhere")
    assert table.position(0) == 4


def test_misplaced_records_alone_move_the_position_and_repeat_nothing(table: Table) -> None:
    table.apply(0, [], None, [Rejected(row(5, "c7", 1), "elsewhere")])
    again = table.apply(0, [], None, [Rejected(row(5, "c7", 1), "elsewhere")])
    assert table.position(0) == 6
    assert (again.rejected, again.repeated) == ([], 1)
    assert table.sizes().rejected == 1
