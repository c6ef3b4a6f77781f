"""One partition of a table that this service owns: what is stored, and over it what is written and not stored yet.

The table's topic is the state. A row is written there, in the transaction of the unit that is open, and
comes back through the ordinary ingestion of the table; until then it is kept here, so that whoever
decides sees what was decided before. Readers see what is stored, which is what is committed. Nothing is
undone: who goes back to the committed offsets begins with another one of these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from larder.delivery.delivery import Delivery
from larder.delivery.headers import BASED_ON_HEADER, GENERATION_HEADER
from larder.delivery.output import Headers, Output
from larder.delivery.unit import Unit
from larder.local_tables.partition_view import PartitionView
from larder.store.applying.deletions import REVISION_HEADER

UNSTORED_ROWS: Final = 100_000
"""So many rows may be on their way to the topic and back; then no more are decided on."""


class Written(NamedTuple):
    """A row as it was written; no value for a deletion, no revision where the topic has none. `typed` if known.

    A deletion that does not declare its revision remembers that of the row.
    """

    key: bytes
    value: bytes | None
    revision: int | None
    typed: Any = None
    declared: bool = True


class OwnedRows:
    """Rows of one partition, by encoded key; `generation` is that of the group, as this worker is a member of it."""

    def __init__(self, stored: PartitionView, output: Output, delivery: Delivery, generation: int) -> None:
        self.partition = stored.partition
        self.output = output
        self._stored = stored
        self._delivery = delivery
        self._headers: Headers = [(GENERATION_HEADER, b"%d" % generation)]
        self._unstored: dict[bytes, Written] = {}
        self._unit: Unit | None = None
        self._of_unit: list[Written] = []
        self._committed: deque[tuple[int | None, Sequence[Written]]] = deque()

    def caught_up(self) -> bool:
        """All that its topic has was read, and can be read."""
        return self._stored.caught_up()

    def full(self) -> bool:
        """There are enough rows on their way."""
        self.forget_stored()
        return len(self._unstored) >= UNSTORED_ROWS

    def written(self, key: bytes) -> Written | None:
        """What was written under a key and is not stored yet."""
        return self._unstored.get(key)

    def stored_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        """What is stored under those keys under which nothing was written since."""
        unstored = self._unstored
        asked = [key for key in keys if key not in unstored] if unstored else list(keys)
        return dict(zip(asked, self._stored.raw_many(asked), strict=True))

    def raw(self, key: bytes) -> bytes | None:
        written = self._unstored.get(key)
        return self._stored.raw(key) if written is None else written.value

    def offset(self, key: bytes) -> int:
        """Where the stored row of a key lies in the topic."""
        return self._stored.offset(key)

    def slices(self) -> Iterator[Sequence[bytes]]:
        """All that is stored, a slice at a time."""
        return self._stored.slices()

    def revision(self, key: bytes) -> int | None:
        """That of the row, or of its deletion; None where there is none."""
        written = self._unstored.get(key)
        return self._stored.revision(key) if written is None else written.revision

    def first_revision(self) -> int:
        """One for a key that has none: above all that any row of this partition ever had.

        A revision rises by one with each record, and is at most one more than the offset of its record.
        """
        return self._stored.position() + 1

    def write(self, row: Written, timestamp: int, based_on: int | None = None) -> None:
        """Write a row, or its deletion; `timestamp` in milliseconds since the epoch."""
        delivery = self._delivery
        if delivery.unit is not self._unit:
            self._unit, self._of_unit = delivery.unit, []
            self._unit.afterwards.append(partial(self._are_committed, self._unit, self._of_unit))
        self._of_unit.append(row)
        self._unstored[row.key] = row
        delivery.emit(self.output, self.partition, row.key, row.value, timestamp, self.headers(row, based_on))

    def headers(self, row: Written, based_on: int | None = None) -> Headers:
        """What `write` puts beside a row."""
        headers = self._headers
        if based_on is not None:
            headers = [*headers, (BASED_ON_HEADER, b"%d" % based_on)]
        if row.value is None and row.revision is not None and row.declared:
            headers = [*headers, (REVISION_HEADER, b"%d" % row.revision)]
        return headers

    def _are_committed(self, unit: Unit, rows: Sequence[Written]) -> None:
        self._committed.append((unit.end(self.output.topic, self.partition), rows))

    def forget_stored(self) -> None:
        """Keep no longer what is in the store: what lies before the position of the table."""
        if not self._committed:
            return
        position = self._stored.position()
        stored = [at for at, (end, _) in enumerate(self._committed) if end is not None and end <= position]
        for _ in range(stored[-1] + 1 if stored else 0):
            for row in self._committed.popleft()[1]:
                if self._unstored.get(row.key) is row:
                    del self._unstored[row.key]
