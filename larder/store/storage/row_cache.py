"""A cache of recently read rows, as Python objects.

A join looks up the same customers again and again; a dictionary takes a tenth of RocksDB's time. Bounded in bytes; the
writer reports each change. Does not know RocksDB.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

# The overhead of two bytes objects and a dictionary entry in CPython.
_OVERHEAD: Final = 170


@dataclass
class HotCounts:
    """Batch look-ups that found a hot row, and those that did not; the numbers only rise."""

    hits: int = 0
    misses: int = 0


class HotRows:
    """The JSON of rows by key, in two generations of half the budget each.

    New rows go into the young generation. When it is full it becomes the old one, and the former old one is dropped.
    A hit in the old generation makes the row young again. So used rows stay, and a hit in the young one costs nothing
    more.
    """

    def __init__(self, capacity: int, counts: HotCounts | None = None) -> None:
        """Set the budget in bytes, including keys and Python's overhead; `counts` outlives the cache."""
        self._capacity = capacity
        self.counts = counts or HotCounts()
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0

    @property
    def used_bytes(self) -> int:
        """The used part of the budget."""
        return self._young_bytes + self._old_bytes

    def resize(self, capacity: int) -> None:
        """Set another budget, which holds from now on."""
        self._capacity = capacity
        if self.used_bytes > capacity:
            self.clear()

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None if it is not hot."""
        row = self._young.get(key)
        if row is None and (row := self._old.get(key)) is not None:
            self.put(key, row)
        return row

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return rows in the order of the keys, None for a row that is not hot."""
        rows = list(map(self._young.get, keys))
        if self._old and None in rows:
            missing = [key for key, row in zip(keys, rows, strict=True) if row is None]
            older = {key: row for key in missing if (row := self._old.get(key)) is not None}
            if older:
                self.put_many(older)
                return [older.get(key) if row is None else row for key, row in zip(keys, rows, strict=True)]
        return rows

    def put(self, key: bytes, row: bytes) -> None:
        """Keep a row."""
        if self._room_for(len(key) + len(row) + _OVERHEAD):
            self._young[key] = row

    def put_many(self, rows: Mapping[bytes, bytes]) -> None:
        """Keep rows, up to half the budget."""
        size = sum(map(len, rows)) + sum(map(len, rows.values())) + _OVERHEAD * len(rows)
        if self._room_for(size):
            self._young.update(rows)

    def _room_for(self, size: int) -> bool:
        half = self._capacity // 2
        if size > half:
            return False
        if self._young_bytes + size > half:
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young_bytes += size
        return True

    def forget(self, keys: AbstractSet[bytes]) -> None:
        """Drop rows that were changed or deleted.

        Their bytes count until their generation is dropped, so that the budget is never exceeded.
        """
        for generation in (self._young, self._old):
            if generation:
                for key in generation.keys() & keys:
                    del generation[key]

    def clear(self) -> None:
        """Drop all rows."""
        self._young, self._young_bytes = {}, 0
        self._old, self._old_bytes = {}, 0
