"""Batches applied to a real store: stored, ignored and counted records."""

from pathlib import Path

import pytest

from larder.store import Applied, NotHeldError, Table
from tests.larder.store.samples import Sent, gone, opened, plain, plains, row


def counts(applied: Applied) -> tuple[int, int, int, int, int]:
    return applied.new, applied.changed, applied.unchanged, applied.stale, applied.deleted


def test_a_new_table_is_empty_and_starts_at_zero(table: Table) -> None:
    assert table.position(0) == 0
    assert table.raw(b"c1") is None
    assert table.sizes().rows == 0


def test_a_batch_stores_rows_and_the_next_position(table: Table) -> None:
    applied = table.apply(0, [row(4, "c1", 1), row(7, "c2", 1)])
    assert counts(applied) == (2, 0, 0, 0, 0)
    assert applied.changed_keys == [b"c1", b"c2"]
    assert table.position(0) == 8
    assert table.position(1) == 0
    assert table.sizes().rows == 2


def test_rows_that_are_only_in_the_log_count_as_on_disk(table: Table) -> None:
    before = table.sizes().disk_bytes
    table.apply(0, [row(offset, f"c{offset}", 1) for offset in range(1_000)])
    assert table.sizes().disk_bytes - before > 1_000 * len(b'{"customer_id":"c1"}')


def test_the_owners_bytes_are_kept_with_unknown_fields(table: Table) -> None:
    value = b'{"customer_id": "c1",  "unknown": [1, 2],"revision": 3}'
    table.apply(0, [Sent(0, b"c1", value)])
    assert table.raw(b"c1") == value


def test_a_batch_with_revisions_5_then_4_over_3_ends_with_5(table: Table) -> None:
    table.apply(0, [row(0, "c1", 3, name="three")])
    applied = table.apply(0, [row(1, "c1", 5, name="five"), row(2, "c1", 4, name="four")])
    assert counts(applied) == (0, 1, 0, 1, 0)
    assert table.get("c1").name == "five"  # type: ignore[union-attr]


def test_a_whole_float_is_a_revision_in_a_batch_of_new_rows_and_later(table: Table) -> None:
    table.apply(0, [Sent(0, b"c1", b'{"customer_id":"c1","revision":2.0}'), row(1, "c2", 1)])
    applied = table.apply(0, [row(2, "c1", 1), Sent(3, b"c2", b'{"customer_id":"c2","name":"new","revision":1.0E1}')])
    assert counts(applied) == (0, 1, 0, 1, 0)
    assert table.raw(b"c1") == b'{"customer_id":"c1","revision":2.0}'


def test_an_unchanged_row_raises_the_revision(table: Table) -> None:
    table.apply(0, [row(0, "c1", 3, name="same")])
    applied = table.apply(0, [row(1, "c1", 5, name="same"), row(2, "c1", 4, name="between")])
    assert counts(applied) == (0, 0, 1, 1, 0)
    assert applied.changed_keys == []
    found = table.origin(b"c1")
    assert found is not None
    assert (found[1].revision, found[1].offset) == (5, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"customer_id":"c1","revision":9,"name":"n"}', b'{"customer_id":"c1","revision":10,"name":"n"}'),
        (b'{"customer_id": "c1", "revision": 9}', b'{"customer_id": "c1", "revision": 10}'),
        (b'{"revision":-1,"customer_id":"c1"}', b'{"revision":10,"customer_id":"c1"}'),
    ],
)
def test_a_row_that_differs_only_in_its_revision_is_unchanged(table: Table, before: bytes, after: bytes) -> None:
    table.apply(0, [Sent(0, b"c1", before)])
    assert table.apply(0, [Sent(1, b"c1", after)]).unchanged == 1
    assert table.raw(b"c1") == after


def test_a_nested_revision_that_changes_is_a_change(table: Table) -> None:
    table.apply(0, [Sent(0, b"c1", b'{"customer_id":"c1","x":{"revision":1},"revision":1}')])
    applied = table.apply(0, [Sent(1, b"c1", b'{"customer_id":"c1","x":{"revision":2},"revision":2}')])
    assert applied.changed == 1


def test_the_same_record_again_is_stale(table: Table) -> None:
    applied = table.apply(0, [row(0, "c1", 3), row(1, "c1", 3)])
    assert counts(applied) == (1, 0, 0, 1, 0)


def test_records_before_the_stored_position_are_dropped(table: Table) -> None:
    batch = [row(0, "c1", 1), row(1, "c1", 2)]
    table.apply(0, batch)
    applied = table.apply(0, [*batch, row(2, "c1", 3)])
    assert applied.repeated == 2
    assert counts(applied) == (0, 0, 1, 0, 0)


def test_the_consumers_position_behind_the_last_record_is_kept(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1)], next_position=17)
    assert table.position(0) == 17
    table.apply(0, [], next_position=20)
    assert table.position(0) == 20
    table.apply(0, [], next_position=3)
    assert table.position(0) == 20


def test_a_partition_that_is_not_open_is_refused_by_name(table: Table) -> None:
    with pytest.raises(NotHeldError, match=r"shop.customers: .* found partition 7, with \[0, 1\] open"):
        table.apply(7, [row(0, "c1", 1)])


def test_without_revisions_the_later_offset_wins(tmp_path: Path) -> None:
    table = opened(tmp_path, plains)
    table.apply(0, [plain(0, "c1", "a"), plain(1, "c1", "b"), plain(2, "c1", "b"), plain(3, "c1", "a")])
    assert table.raw(b"c1") == plain(0, "c1", "a").value
    found = table.origin(b"c1")
    assert found is not None
    assert found[1].offset == 3


def test_without_revisions_equal_bytes_are_unchanged(tmp_path: Path) -> None:
    table = opened(tmp_path, plains)
    assert counts(table.apply(0, [plain(0, "c1", "a"), plain(1, "c1", "a")])) == (1, 0, 1, 0, 0)


def test_a_deletion_removes_the_row_and_its_index_entry(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1, country="AT")])
    applied = table.apply(0, [gone(1, "c1")])
    assert counts(applied) == (0, 0, 0, 0, 1)
    assert applied.changed_keys == [b"c1"]
    assert table.raw(b"c1") is None
    assert list(table.by("country", "AT", limit=10)) == []
    assert table.sizes().rows == 0


def test_a_deleted_row_does_not_come_back_with_a_late_older_event(table: Table) -> None:
    table.apply(0, [row(0, "c1", 7), gone(1, "c1")])
    applied = table.apply(0, [row(2, "c1", 7), row(3, "c1", 6)])
    assert counts(applied) == (0, 0, 0, 2, 0)
    assert table.raw(b"c1") is None


def test_a_deleted_row_comes_back_with_a_newer_revision(table: Table) -> None:
    table.apply(0, [row(0, "c1", 7), gone(1, "c1")])
    assert counts(table.apply(0, [row(2, "c1", 8)])) == (1, 0, 0, 0, 0)
    assert table.sizes().rows == 1


def test_a_deletion_with_an_older_revision_is_stale(table: Table) -> None:
    applied = table.apply(0, [row(0, "c1", 7), gone(1, "c1", revision=6)])
    assert counts(applied) == (1, 0, 0, 1, 0)
    assert table.raw(b"c1") is not None


def test_a_deletion_before_its_row_hides_it_by_revision(table: Table) -> None:
    table.apply(0, [gone(0, "c1", revision=7), row(1, "c1", 6)])
    assert table.raw(b"c1") is None
    table.apply(0, [row(2, "c1", 8)])
    assert table.raw(b"c1") is not None


def test_a_deletion_hides_the_copy_of_another_partition_by_revision_only(table: Table) -> None:
    table.apply(0, [row(0, "c1", 7)])
    assert table.apply(1, [gone(0, "c1")]).stale == 1
    assert table.raw(b"c1") is not None
    assert table.apply(1, [gone(1, "c1", revision=8)]).deleted == 1
    assert table.raw(b"c1") is None


def test_without_revisions_a_deletion_leaves_the_copy_of_another_partition(tmp_path: Path) -> None:
    table = opened(tmp_path, plains)
    table.apply(0, [plain(3, "c1", "a")])
    assert table.apply(1, [gone(9, "c1")]).stale == 1
    assert table.apply(0, [gone(4, "c1")]).deleted == 1


def test_a_topic_of_deletions_makes_an_empty_table_at_its_end(table: Table) -> None:
    applied = table.apply(0, [gone(offset, f"c{offset}") for offset in range(5)])
    assert counts(applied) == (0, 0, 5, 0, 0)
    assert table.position(0) == 5
    assert table.sizes().rows == 0
    assert list(table.scan(limit=10)) == []


def test_a_value_of_a_megabyte_is_kept(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1, name="x" * 1_000_000)])
    assert len(table.raw(b"c1") or b"") > 1_000_000
    assert table.raw_many([b"c1"])[0] == table.raw(b"c1")


def test_writes_persist_after_reopening(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "c1", 1, country="AT")])
    table.apply(1, [row(5, "c2", 1, country="AT")])
    table.close()
    table = opened(tmp_path)
    assert (table.position(0), table.position(1)) == (1, 6)
    assert [found.key for found in table.found_by("country", "AT", limit=10)] == [b"c1", b"c2"]
    assert table.sizes().rows == 2


def test_a_cached_row_is_not_given_after_it_changed(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1, name="old"), row(1, "c2", 1)])
    assert all(table.raw_many([b"c1", b"c2"]))
    table.apply(0, [row(2, "c1", 2, name="new"), gone(3, "c2")])
    assert b"new" in (table.raw(b"c1") or b"")
    assert table.raw(b"c2") is None
    assert table.raw_many([b"c2", b"c1", b"c2"])[::2] == [None, None]
