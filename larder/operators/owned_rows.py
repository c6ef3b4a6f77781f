"""One partition of a table that this service owns: the stored rows, overlaid by written rows that are not stored yet.

The table's topic holds the state. A row is written there in the transaction of the open unit, and returns through the
ordinary ingestion of the table. Until then it is kept here, so that later decisions observe earlier ones. Readers get
stored rows, which are committed. Nothing is undone: after a rewind to the committed offsets, a new object replaces this
one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka.structs import TopicPartition

from larder.delivery.delivery import Delivery
from larder.delivery.headers import BASED_ON_HEADER, GENERATION_HEADER
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.delivery.unit import Unit
from larder.kafka.partitioner import partition_of
from larder.local_tables.partition_view import PartitionView
from larder.store.applying.deletions import REVISION_HEADER

UNSTORED_ROWS: Final = 100_000
"""How many rows may be on their way to the topic and back before processing pauses."""


class Written(NamedTuple):
    """A row as it was written: without value for a deletion, without revision if the topic has none; `typed` if known.

    A deletion that does not declare its revision keeps the revision of the row.
    """

    key: bytes
    value: bytes | None
    revision: int | None
    typed: Any = None
    declared: bool = True


class OwnedRows:
    """The rows of one partition, by encoded key; `generation` is the group's generation of the assignment."""

    def __init__(
        self,
        stored: PartitionView,
        output: Output,
        delivery: Delivery,
        generation: int,
        public: Output | None = None,
        floor: int = 0,
    ) -> None:
        """`public` is the topic that others read, if it is not `output`: each row is written to both, in one unit.

        No row of an earlier generation of the service had a revision above `floor`.
        """
        self.partition = stored.partition
        self.output = output
        self._stored = stored
        self._delivery = delivery
        self._public = public
        self._floor = floor
        self._headers: Headers = [(GENERATION_HEADER, b"%d" % generation)]
        self._unstored: dict[bytes, Written] = {}
        self._unit: Unit | None = None
        self._of_unit: list[Written] = []
        self._committed: deque[tuple[int | None, Sequence[Written]]] = deque()

    def caught_up(self) -> bool:
        """Return whether all records of its topic have been read and are readable."""
        return self._stored.caught_up()

    def full(self) -> bool:
        """Return whether too many rows are on their way."""
        self.forget_stored()
        return len(self._unstored) >= UNSTORED_ROWS

    def written(self, key: bytes) -> Written | None:
        """Return the row that was written under a key and is not stored yet."""
        return self._unstored.get(key)

    def stored_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        """Return the stored rows of those keys that have no newer written row."""
        unstored = self._unstored
        asked = [key for key in keys if key not in unstored] if unstored else list(keys)
        return dict(zip(asked, self._stored.raw_many(asked), strict=True))

    def raw(self, key: bytes) -> bytes | None:
        written = self._unstored.get(key)
        return self._stored.raw(key) if written is None else written.value

    def offset(self, key: bytes) -> int:
        """Return the offset of a key's stored row in the topic."""
        return self._stored.offset(key)

    def slices(self) -> Iterator[Sequence[bytes]]:
        """Yield all stored rows, a slice at a time."""
        return self._stored.slices()

    def revision(self, key: bytes) -> int | None:
        """Return the revision of a key's row, or of its deletion; None if there is none."""
        written = self._unstored.get(key)
        return self._stored.revision(key) if written is None else written.revision

    def fence(self) -> None:
        """Fence the open unit by the offset of this partition, up to which its topic is stored."""
        self._delivery.done(TopicPartition(self.output.topic, self.partition), self._stored.position())

    def committed_end(self) -> int | None:
        """Return the offset before which all committed rows are; None if the broker did not report it."""
        ends = [end for end, _ in self._committed]
        return None if None in ends else max((end for end in ends if end is not None), default=self._stored.position())

    def first_revision(self) -> int:
        """Return a revision for a new key: it is above every revision that this partition has used.

        A revision rises by one with each record, and exceeds the floor and the offset of its record by at most one.
        """
        return self._floor + self._stored.position() + 1

    def check(self, row: Written, timestamp: int, based_on: int | None = None) -> None:
        """Raise ValueError if a row, or its deletion, cannot be published."""
        headers = self.headers(row, based_on)
        self._delivery.check(self.output, row.key, row.value, timestamp, headers)
        if self._public is not None:
            self._delivery.check(self._public, row.key, row.value, timestamp, headers)

    def write(self, row: Written, timestamp: int, based_on: int | None = None, carried: Headers = NO_HEADERS) -> None:
        """Write a row or its deletion; `timestamp` is in milliseconds since the epoch."""
        delivery = self._delivery
        if delivery.unit is not self._unit:
            self._unit, self._of_unit = delivery.unit, []
            self._unit.afterwards.append(partial(self._are_committed, self._unit, self._of_unit))
        self._of_unit.append(row)
        self._unstored[row.key] = row
        headers = self.headers(row, based_on)
        delivery.emit(self.output, self.partition, row.key, row.value, timestamp, headers, carried)
        if self._public is not None:
            partition = partition_of(row.key, self._public.partitions)
            delivery.emit(self._public, partition, row.key, row.value, timestamp, headers, carried)

    def headers(self, row: Written, based_on: int | None = None) -> Headers:
        """Return the headers that `write` adds to a row."""
        headers = self._headers
        if based_on is not None:
            headers = [*headers, (BASED_ON_HEADER, b"%d" % based_on)]
        if row.value is None and row.revision is not None and row.declared:
            headers = [*headers, (REVISION_HEADER, b"%d" % row.revision)]
        return headers

    def _are_committed(self, unit: Unit, rows: Sequence[Written]) -> None:
        self._committed.append((unit.end(self.output.topic, self.partition), rows))

    def forget_stored(self) -> None:
        """Drop the rows that have reached the store: those before the table's position."""
        if not self._committed:
            return
        position = self._stored.position()
        stored = [at for at, (end, _) in enumerate(self._committed) if end is not None and end <= position]
        for _ in range(stored[-1] + 1 if stored else 0):
            for row in self._committed.popleft()[1]:
                if self._unstored.get(row.key) is row:
                    del self._unstored[row.key]
