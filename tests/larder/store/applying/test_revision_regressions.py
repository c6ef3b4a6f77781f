"""A revision that falls in the log is recorded once; a record that is read again does not count."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from larder.store import Table
from larder.store.applying.revision_regressions import Fell
from tests.larder.store.samples import Sent, gone, opened, plain, plains, row


@pytest.mark.parametrize(
    ("batches", "wanted"),
    [
        ([[row(0, "c1", 5), row(1, "c1", 4)]], Fell(0, b"c1", 1, 4, 0, 5)),
        ([[row(0, "c1", 5)], [row(1, "c2", 1), row(2, "c1", 4)]], Fell(0, b"c1", 2, 4, 0, 5)),
        ([[row(0, "c1", 5)], [gone(1, "c1", 4)]], Fell(0, b"c1", 1, 4, 0, 5)),
        ([[gone(0, "c1", 5)], [row(1, "c1", 4)]], Fell(0, b"c1", 1, 4, 0, 5)),
        ([[row(0, "c1", 5)], [row(1, "c1", 5)]], None),
        ([[row(0, "c1", 5)], [gone(1, "c1", 5)]], None),
        ([[row(0, "c1", 5)], [gone(1, "c1")], [row(2, "c1", 6)]], None),
    ],
)
def test_a_lower_revision_behind_a_higher_one_is_a_regression(
    table: Table, batches: Sequence[Sequence[Sent]], wanted: Fell | None
) -> None:
    found = [table.apply(0, batch).fell for batch in batches]
    assert found[-1] == table.fell == wanted


def test_two_partitions_are_not_ordered_among_each_other(table: Table) -> None:
    table.apply(0, [row(0, "c1", 5)])
    table.apply(1, [row(1, "c1", 4)])
    assert table.fell is None


def test_records_that_are_read_again_are_no_regression(table: Table) -> None:
    records = [row(0, "c1", 1), gone(1, "c1", 2), row(2, "c1", 3), gone(3, "c2", 1), row(4, "c2", 2)]
    table.apply(0, records)
    table.read_again(0, 0, 1_000.0)
    table.apply(0, records[:2])
    table.apply(0, records)
    assert table.fell is None


def test_without_revisions_there_is_no_regression(tmp_path: Path) -> None:
    table = opened(tmp_path, plains)
    table.apply(0, [plain(0, "p1", "a"), plain(1, "p1", "b")])
    table.read_again(0, 0, 1_000.0)
    table.apply(0, [plain(0, "p1", "a")])
    assert table.fell is None


def test_a_fallen_revision_is_kept_until_the_store_is_rebuilt(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "c1", 5), row(1, "c1", 4)])
    assert table.apply(0, [row(2, "c1", 3)]).fell is None, "only the first one is reported"
    table.close()
    table = opened(tmp_path)
    assert table.fell == Fell(0, b"c1", 1, 4, 0, 5)
    table.discard(0)
    table.open((0, 1), "id-1")
    assert table.fell is None
