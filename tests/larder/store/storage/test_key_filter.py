"""The key filter of a first filling errs on one side only."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from larder.store.storage.key_filter import Filling
from tests.larder.store.samples import opened, row


@given(st.lists(st.lists(st.binary(max_size=3), max_size=20), max_size=20))
def test_the_filter_reports_every_key_that_was_written(batches: list[list[bytes]]) -> None:
    filling, written = Filling(10), set[bytes]()
    for keys in batches:
        assert written.intersection(keys) <= set(filling.add(keys))
        written.update(keys)


def test_nearly_all_keys_of_a_first_fill_need_no_look_up() -> None:
    filling = Filling(100_000)
    asked = sum(len(filling.add([b"c%d" % n for n in range(first, first + 500)])) for first in range(0, 100_000, 500))
    assert asked < 100_000 / 5


def test_rows_from_before_the_fill_are_looked_up(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "a", 3, name="newest")])
    table.shard(0).catch_up(10)
    assert table.apply(0, [row(1, "a", 2, name="older"), row(2, "b", 1)]).stale == 1
    assert table.apply(0, [row(3, "b", 1)]).stale == 1
