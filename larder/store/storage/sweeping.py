"""Full reads of a log, which find the rows that it no longer has.

A store that did not reach its topic's end for longer than the topic keeps deletions may have missed some. Its log is
then read from the start while the table keeps serving. The batch that finds an existing row writes the offset at which
it found it. Once the end is reached, rows that were not found at the offset from which they were stored, or behind it,
are removed in slices. All of this is in the store, so that a crash loses nothing.

Knows one store, but no consumers and no time.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from larder.declaring.records import Record
from larder.store.layout import (
    HEADER_SIZE,
    ROW,
    FullRead,
    FullReadStage,
    after_prefix,
    full_read_key,
    met_prefix,
    origin,
    pack_full_read,
    pack_offset,
    unpack_full_read,
    unpack_offset,
)
from larder.store.records import Rejected
from larder.store.storage.store import Store, StoreBatch


class Ghosts(NamedTuple):
    """Rows that their topic no longer has, by partition and key, and whether they are the last."""

    rows: dict[int, dict[bytes, bytes]]
    last: bool


class FullReads:
    """The full reads of one store, by partition."""

    def __init__(self, store: Store) -> None:
        """Start without partitions."""
        self._store = store
        self._known: dict[int, FullRead] = {}
        self._cursor = b""

    def take(self, partition: int) -> None:
        """Read the state of a partition."""
        if (stored := self._store.get(full_read_key(partition))) is not None:
            self._known[partition] = unpack_full_read(stored)

    def of(self, partition: int) -> FullRead | None:
        """Return the last full read of a partition; None if it was never read."""
        return self._known.get(partition)

    def under_way(self, partition: int) -> bool:
        """Return whether a partition may have rows that are gone from its topic."""
        read = self._known.get(partition)
        return read is not None and read.stage is not FullReadStage.DONE

    def put(self, batch: StoreBatch, partition: int, read: FullRead) -> None:
        """Put a full read into a batch; `keep` it once that is written."""
        batch.put(full_read_key(partition), pack_full_read(read))
        if read.stage is not FullReadStage.SWEEPING:
            prefix = met_prefix(partition)
            batch.delete_range(prefix, after_prefix(prefix) or prefix)

    def keep(self, reads: Mapping[int, FullRead]) -> None:
        """Take over what was written. Rows may have to be checked again."""
        if reads:
            self._known.update(reads)
            self._cursor = b""

    def meet(self, batch: StoreBatch, partition: int, records: Sequence[Record], rejected: Sequence[Rejected]) -> None:
        """Write at which offsets the records of a batch show that existing rows are still in the log.

        Also behind the former position, since a row that the owner publishes again is stale and changes nothing. Also
        rejected records: one may be all that the log still has of a key whose row it did not change.
        """
        read = self._known.get(partition)
        if read is None or read.stage is FullReadStage.DONE or not read.before:
            return
        met = {each.key: each.offset for each in records if each.key is not None and each.value is not None}
        for record, _ in rejected:
            if record.key is not None:
                met[record.key] = max(record.offset, met.get(record.key, 0))
        prefix = met_prefix(partition)
        for key, offset in met.items():
            batch.put(prefix + key, pack_offset(offset))

    def was_read(self, partition: int, offset: int) -> bool:
        """Return whether a record had been read before the present full read began."""
        read = self._known.get(partition)
        return read is not None and offset < read.before

    @property
    def sweeping(self) -> Mapping[int, FullRead]:
        """The partitions whose rows can be checked; none while any is still read, since one pass checks all."""
        if any(read.stage is FullReadStage.READING and read.before for read in self._known.values()):
            return {}
        return {partition: read for partition, read in self._known.items() if read.stage is FullReadStage.SWEEPING}

    def look(self, sweeping: Mapping[int, FullRead], max_rows: int) -> Ghosts:
        """Check the next rows; return those that are gone, for the caller to remove."""
        first = ROW + self._cursor + b"\0" if self._cursor else ROW
        rows = list(islice(self._store.scan(first, after_prefix(ROW)), max_rows))
        if rows:
            self._cursor = rows[-1][0][len(ROW) :]
        live = [(origin(stored), key[len(ROW) :], stored) for key, stored in rows if len(stored) > HEADER_SIZE]
        doubtful = [
            (found, key, stored)
            for found, key, stored in live
            if found.partition in sweeping and found.offset < sweeping[found.partition].before
        ]
        met = self._store.get_many([met_prefix(found.partition) + key for found, key, _ in doubtful])
        ghosts: dict[int, dict[bytes, bytes]] = {}
        for (found, key, stored), mark in zip(doubtful, met, strict=True):
            if unpack_offset(mark) < found.offset:
                ghosts.setdefault(found.partition, {})[key] = stored
        return Ghosts(ghosts, last=len(rows) < max_rows)
