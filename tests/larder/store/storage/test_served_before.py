"""A rebuild never silently loses many of a table's rows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import OwnerTopic
from larder.store import Table
from larder.store.storage.served_before import UNKNOWN, ServedBefore, lost
from tests.larder.store.samples import customers, other, row, small_memory, stricter


@pytest.mark.parametrize(
    ("before", "rows", "unreadable", "expected"),
    [
        (ServedBefore(100), 0, 100, 100),
        (ServedBefore(100), 89, 11, 11),
        (ServedBefore(100), 90, 10, 0),
        (ServedBefore(1), 0, 1, 1),
        (ServedBefore(100), 60, 0, 0),  # deleted by their owner
        (ServedBefore(100, 50), 100, 50, 0),  # no rows before either
        (ServedBefore(100, 50), 50, 50, 50),  # older rows of the unreadable keys, which compaction removed
        (ServedBefore(100), 100, 50, 50),  # as many new ones came
        (ServedBefore(0), 0, 100, 0),
        (UNKNOWN, 0, 1, 1),
        (UNKNOWN, 10, 10, 0),
        (UNKNOWN, 0, 0, 0),
    ],
)
def test_more_than_a_tenth_that_cannot_be_read_is_lost(
    before: ServedBefore, rows: int, unreadable: int, expected: int
) -> None:
    assert lost(before, rows, unreadable) == expected


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_topic_of_valid_rows_has_lost_none(rows: int, before: int, was: int, now: int) -> None:
    assert lost(ServedBefore(before, was), rows, 0) == 0
    assert 0 <= lost(ServedBefore(before, was), rows, now) <= min(before, now)


def table(path: Path, topic: OwnerTopic = customers, topic_id: str | None = "id-1") -> Table:
    made = Table(topic, path, small_memory(), "global")
    made.open((0, 1), topic_id)
    return made


def read(into: Table, count: int = 5) -> None:
    """The records of the topic, from the position of the store."""
    for partition in (0, 1):
        into.apply(partition, [row(offset, f"c{partition}{offset}", 1) for offset in range(count)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The directory of a store of ten rows that was read to its end."""
    made = table(tmp_path)
    read(made)
    made.shard(0).settle()
    made.close()
    return tmp_path


def test_a_store_that_is_continued_has_lost_no_rows(path: Path) -> None:
    made = table(path)
    assert made.shard(0).before is None
    assert made.shard(0).lost == 0


def test_rows_that_a_row_type_cannot_read_are_lost_until_it_is_changed_back(path: Path) -> None:
    for topic, rows in ((stricter, 10), (other, 10), (customers, 0)):
        made = table(path, topic)
        read(made)
        assert made.shard(0).lost == rows
        assert made.shard(0).before == ServedBefore(10)
        made.close()


def test_a_process_that_ends_during_a_rebuild_forgets_nothing(path: Path) -> None:
    table(path, stricter).close()
    made = table(path, stricter)
    made.apply(0, [row(0, "c00", 1)])
    made.close()
    (path / "shop.customers" / "global").rename(path / "shop.customers" / "global.discarded")
    made = table(path, stricter)
    read(made)
    assert made.shard(0).lost == 10


def test_accepted_losses_stay_accepted_after_a_restart(path: Path) -> None:
    made = table(path, stricter)
    read(made)
    made.shard(0).settle()
    made.close()
    assert table(path, stricter).shard(0).before is None


def test_a_topic_that_was_created_again_has_lost_no_rows(path: Path) -> None:
    assert table(path, topic_id="id-2").shard(0).before == UNKNOWN


def test_a_store_that_is_discarded_is_compared_with_its_former_rows(path: Path) -> None:
    made = table(path)
    made.discard(0)
    made.open((0, 1), "id-1")
    assert made.shard(0).before == ServedBefore(10)
