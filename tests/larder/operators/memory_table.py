"""A partition of a waiting topic as a table in memory, up to the position that has been read.

It replaces a `PartitionView` in tests that open it many hundred times. `test_waiting_records` and `test_owned_rows` use
a real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from larder.local_tables.partition_view import PartitionView
from tests.larder.operators.memory_delivery import Sent


class MemoryTable:
    """The rows of partition 0 from its `log`. It is caught up at the current end of the log."""

    partition = 0

    def __init__(self, log: Sequence[Sent]) -> None:
        self._log = log
        self._end = len(log)
        self._position = 0
        self.found: dict[bytes, bytes] = {}

    def as_view(self) -> PartitionView:
        return cast("PartitionView", self)

    def read(self, count: int) -> None:
        """Apply the next records of the log to the table."""
        for record in self._log[self._position : self._position + count]:
            self._position += 1
            if record.value is None:
                self.found.pop(record.key or b"", None)
            else:
                self.found[record.key or b""] = record.value

    def caught_up(self) -> bool:
        return self._position >= self._end

    def slices(self) -> Iterator[list[bytes]]:
        rows = list(self.found.values())
        while rows:
            yield rows[:1]
            rows = rows[1:]

    def position(self) -> int:
        return self._position

    def raw(self, key: bytes) -> bytes | None:
        return self.found.get(key)
