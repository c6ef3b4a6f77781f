"""Rows that were just read, as the Python objects they were read into.

A join asks for the same customers again and again; a dictionary answers in a tenth of
the time of RocksDB. Bounded in bytes, and told of each change by the one who writes.
This module may not know RocksDB.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

# What CPython spends on two bytes objects and their place in a dictionary.
_OVERHEAD: Final = 170


@dataclass
class HotCounts:
    """How many rows were asked for in batches and were hot, and how many were not; they only rise."""

    hits: int = 0
    misses: int = 0


class HotRows:
    """Key to row JSON, in two generations of half the budget each.

    New rows go into the young generation; when it is full it becomes the old one, and
    what was the old one is forgotten. A hit in the old one makes the row young again.
    So what is asked for stays, and nothing is done for a hit in the young one.
    """

    def __init__(self, capacity: int, counts: HotCounts | None = None) -> None:
        """Set the budget in bytes, keys and Python's own objects included; `counts` outlives it."""
        self._capacity = capacity
        self.counts = counts or HotCounts()
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0

    @property
    def used_bytes(self) -> int:
        """How much of the budget is in use."""
        return self._young_bytes + self._old_bytes

    def resize(self, capacity: int) -> None:
        """Set another budget; a smaller one holds from now on."""
        self._capacity = capacity
        if self.used_bytes > capacity:
            self.clear()

    def get(self, key: bytes) -> bytes | None:
        """Give a row, or None when it is not among the hot ones."""
        row = self._young.get(key)
        if row is None and (row := self._old.get(key)) is not None:
            self.put(key, row)
        return row

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Give rows in the order of the keys, None for each that is not hot."""
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
        """Keep rows; at most half the budget of them, and the rest not at all."""
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

        Their bytes stay counted until their generation goes, so that the budget is
        never exceeded.
        """
        for generation in (self._young, self._old):
            if generation:
                for key in generation.keys() & keys:
                    del generation[key]

    def clear(self) -> None:
        """Drop all rows."""
        self._young, self._young_bytes = {}, 0
        self._old, self._old_bytes = {}, 0
