"""Memory is bounded, and in use."""

import itertools
import random
import time
from pathlib import Path

from larder.store import Memory, Table
from larder.store.storage.memory import MIB, WRITE_BUFFER_BYTES
from larder.store.storage.row_cache import HotRows
from tests.larder.store.samples import customers, row


def filled(directory: Path, memory: Memory) -> Table:
    """Return a table of 16 MB in files, which does not compress well."""
    chosen = random.Random(1)  # noqa: S311  to be repeated, not to be secret
    table = Table(customers, directory, memory, "global")
    table.open((0,), "id-1")
    for start in range(0, 8_000, 1_000):
        table.apply(0, [row(n, f"c{n}", 1, name=chosen.randbytes(1_000).hex()) for n in range(start, start + 1_000)])
    table.close()
    return table


def test_the_cache_is_used_after_reopening(tmp_path: Path) -> None:
    memory = Memory(64 * MIB, 8 * MIB, 0)
    table = filled(tmp_path, memory)
    table.open((0,), "id-1")
    for n in range(8_000):
        assert table.raw(b"c%d" % n) is not None
    assert memory.used()["cache_bytes"] > 12 * MIB


def test_the_cache_keeps_its_bound(tmp_path: Path) -> None:
    memory = Memory(4 * MIB, 8 * MIB, 0)
    table = filled(tmp_path, memory)
    table.open((0,), "id-1")
    for n in range(8_000):
        table.raw(b"c%d" % n)
    assert memory.used()["cache_bytes"] <= 4 * MIB


def test_write_buffers_of_many_stores_go_back_to_their_common_budget(tmp_path: Path) -> None:
    memory = Memory(8 * MIB, 4 * MIB, 0)
    table = Table(customers, tmp_path, memory, "partition")
    table.open(range(16), "id-1")
    for n in range(2_000):
        table.apply(n % 16, [row(n, f"c{n}", 1, name="n" * 10_000)])
    # Writers are not held back, so that it is exceeded while files are written more slowly than rows
    # come; each later row starts what is to be written next. A part of a memtable (2 MB here) may stay above it.
    deadline = time.monotonic() + 60
    for n in itertools.count(2_000):
        if memory.used()["write_buffer_bytes"] <= 6 * MIB:
            break
        assert time.monotonic() < deadline, memory.used()
        table.apply(n % 16, [row(n, f"c{n}", 1)])
        time.sleep(0.01)


def test_stores_without_a_row_leave_the_write_budget_to_those_with_rows(tmp_path: Path) -> None:
    memory = Memory()
    table = Table(customers, tmp_path, memory, "partition")
    table.open(range(64), "id-1")
    assert memory.used()["write_buffer_bytes"] < WRITE_BUFFER_BYTES / 2


def test_hot_rows_are_bounded_and_keep_used_rows() -> None:
    hot = HotRows(100_000)
    hot.put(b"asked for", b"row")
    for n in range(10_000):
        hot.put(b"%d" % n, b"x" * 100)
        assert hot.get(b"asked for") == b"row"
        assert hot.used_bytes <= 100_000
    assert hot.get(b"0") is None
    assert hot.get(b"9999") is not None


def test_a_row_that_is_larger_than_half_the_budget_is_not_hot() -> None:
    hot = HotRows(1_000)
    hot.put(b"k", b"x" * 600)
    assert hot.get(b"k") is None


def test_a_changed_row_is_forgotten_in_both_generations() -> None:
    hot = HotRows(2_000)
    hot.put_many({b"old": b"x" * 700})
    hot.put_many({b"young": b"x" * 700})
    hot.forget({b"old", b"young"})
    assert hot.get_many([b"old", b"young"]) == [None, None]


def test_a_smaller_budget_holds_from_now_on() -> None:
    hot = HotRows(10_000)
    hot.put(b"k", b"x" * 2_000)
    hot.resize(1_000)
    assert hot.used_bytes <= 1_000
    assert hot.get(b"k") is None
