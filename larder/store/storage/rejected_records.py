"""Rejected records, kept unchanged with their cause and their coordinates.

Written together with the rows of their batch, under their coordinates, so that reading a topic again does not keep
them twice. Only the newest are kept: an owner that sends invalid records must not fill the disk. If they have to be
published as dead letters, a queue has those that were not published yet.

Knows one store, but no rows and no consumers.
"""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from larder.declaring.one_form import as_sent
from larder.store.layout import REJECTED, REJECTED_KEY, UNPUBLISHED
from larder.store.records import Rejected, RejectedRecord
from larder.store.storage.store import Store, StoreBatch

# Enough to find what an owner does wrong, and to repair it by hand. In bytes, too: a record may have a megabyte.
MOST_RECORDS: Final = 10_000
MOST_BYTES: Final = 64 << 20

_PARTITION: Final = Struct(">I")
_PLACE: Final = Struct(">Iq")
_decode: Final = msgspec.msgpack.Decoder(RejectedRecord).decode


class Kept(NamedTuple):
    """How much is kept of a partition."""

    records: int = 0
    bytes: int = 0

    def plus(self, records: int, size: int) -> "Kept":
        """Return the sums."""
        return Kept(self.records + records, self.bytes + size)


class RejectionLog:
    """The rejected records of one store; with `publishes`, each is queued until it is published."""

    def __init__(self, store: Store, *, publishes: bool) -> None:
        """Read how much is kept."""
        self._store = store
        self._publishes = publishes
        stored = store.get(REJECTED_KEY)
        self.kept: dict[int, Kept] = {} if stored is None else msgspec.msgpack.decode(stored, type=dict[int, Kept])

    @property
    def count(self) -> int:
        """The number of kept records."""
        return sum(kept.records for kept in self.kept.values())

    def add(self, batch: StoreBatch, partition: int, rejected: Sequence[Rejected]) -> dict[int, Kept]:
        """Add new records of a partition to a batch; return what is `kept` once it is written."""
        kept = dict(self.kept)
        for offset, value in _newest(partition, rejected):
            place = _PLACE.pack(partition, offset)
            batch.put(REJECTED + place, value)
            if self._publishes:
                batch.put(UNPUBLISHED + place, b"")
            kept[partition] = kept.get(partition, Kept()).plus(1, len(value))
        self._drop_oldest(batch, kept)
        batch.put(REJECTED_KEY, msgspec.msgpack.encode(kept))
        return kept

    def newest(self, limit: int) -> list[RejectedRecord]:
        """Return up to `limit` records, the newest first."""
        records = (_decode(value) for _, value in self._store.scan_prefix(REJECTED))
        return nlargest(limit, records, key=RejectedRecord.age)

    def unpublished(self, partition: int) -> Iterator[RejectedRecord]:
        """Yield the records of a partition that were not published yet, in order."""
        for queued, _ in self._store.scan_prefix(UNPUBLISHED + _PARTITION.pack(partition)):
            value = self._store.get(REJECTED + queued[1:])
            if value is not None:
                yield _decode(value)

    def published(self, partition: int, offsets: Sequence[int]) -> None:
        """Take records out of the queue."""
        batch = StoreBatch()
        for offset in offsets:
            batch.delete(UNPUBLISHED + _PLACE.pack(partition, offset))
        self._store.write(batch)

    def _drop_oldest(self, batch: StoreBatch, kept: dict[int, Kept]) -> None:
        """Drop the oldest records of the partitions that have the most, until the rest is within bounds."""
        oldest = {partition: self._store.scan_prefix(REJECTED + _PARTITION.pack(partition)) for partition in kept}
        while _too_much(kept) and oldest:
            partition = max(oldest, key=lambda number: kept[number])
            found = next(oldest[partition], None)
            if found is None:
                # All that is left of it is in this batch.
                del oldest[partition]
                continue
            at, value = found
            batch.delete(at)
            batch.delete(UNPUBLISHED + at[1:])
            kept[partition] = kept[partition].plus(-1, -len(value))


def _newest(partition: int, rejected: Sequence[Rejected]) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of the last records that are within bounds by themselves, in reverse order."""
    size = 0
    for record, cause in reversed(rejected[-MOST_RECORDS:]):
        key, headers = as_sent(record).key, list(record.headers or ())
        kept = RejectedRecord(partition, record.offset, record.timestamp, key, record.value, headers, cause)
        value = msgspec.msgpack.encode(kept)
        size += len(value)
        if size > MOST_BYTES:
            return
        yield record.offset, value


def _too_much(kept: dict[int, Kept]) -> bool:
    return (
        sum(each.records for each in kept.values()) > MOST_RECORDS
        or sum(each.bytes for each in kept.values()) > MOST_BYTES
    )
