"""A partition of a waiting topic as a table in memory, as far as it has been read.

Stands where `larder.local_tables.table.LocalTable` stands in a worker, for tests that open it many hundred times;
`test_waiting_records` and `test_owned_rows` have a real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from larder.local_tables.table import LocalTable
from tests.larder.operators.memory_delivery import Sent


class MemoryTable:
    """Rows of one partition, whichever is asked for, from its `log`; caught up at the end that this has now."""

    def __init__(self, log: Sequence[Sent]) -> None:
        self._log = log
        self._end = len(log)
        self._position = 0
        self.found: dict[bytes, bytes] = {}

    def as_held(self) -> LocalTable:
        return cast("LocalTable", self)

    def read(self, count: int) -> None:
        """The next records of the log come into the table."""
        for record in self._log[self._position : self._position + count]:
            self._position += 1
            if record.value is None:
                self.found.pop(record.key or b"", None)
            else:
                self.found[record.key or b""] = record.value

    def caught_up(self, _: int) -> bool:
        return self._position >= self._end

    def unreadable(self, _: int) -> int:
        return 0

    def slices(self, _: int) -> Iterator[list[bytes]]:
        rows = list(self.found.values())
        while rows:
            yield rows[:1]
            rows = rows[1:]

    @property
    def stored(self) -> MemoryTable:
        return self

    def shard(self, _: int) -> MemoryTable:
        return self

    def position(self, _: int) -> int:
        return self._position

    def raw(self, key: bytes) -> bytes | None:
        return self.found.get(key)
