"""Keys whose newest record was rejected: the table's row of such a key, if any, is older than the topic.

Written together with the rows of their batch. A valid record of a key, or its deletion, removes the key.

Knows one store, but no rows and no consumers.
"""

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Final

import msgspec

from larder.declaring.records import Record
from larder.store.layout import UNREADABLE, UNREADABLE_KEY, after_prefix
from larder.store.records import Rejected, UnreadableKey
from larder.store.storage.store import Store, StoreBatch

_MOST_OF_A_CAUSE: Final = 300

_PARTITION: Final = Struct(">I")
_decode: Final = msgspec.msgpack.Decoder(UnreadableKey).decode
_decode_counts: Final = msgspec.msgpack.Decoder(dict[int, int]).decode


class UnreadableKeys:
    """The unreadable keys of one store; `counts` has their number by partition."""

    def __init__(self, store: Store) -> None:
        """Read how many there are."""
        self._store = store
        stored = store.get(UNREADABLE_KEY)
        self.counts: Mapping[int, int] = {} if stored is None else _decode_counts(stored)

    def add(
        self, batch: StoreBatch, partition: int, records: Sequence[Record], rejected: Sequence[Rejected]
    ) -> Mapping[int, int]:
        """Write the changes that records of a partition make; return the `counts` that hold once they are written.

        `rejected` has the `records` that are not rows.
        """
        count = self.counts.get(partition, 0)
        if not rejected and not count:
            return self.counts
        causes = {each.record.offset: each.cause for each in rejected}
        last = {record.key: record for record in records if record.key is not None}
        prefix = UNREADABLE + _PARTITION.pack(partition)
        known = self._store.get_many([prefix + key for key in last])
        for (key, record), before in zip(last.items(), known, strict=True):
            cause = causes.get(record.offset)
            if cause is not None and not leaves_nothing(record):
                value = UnreadableKey(partition, record.offset, key, cause[:_MOST_OF_A_CAUSE])
                batch.put(prefix + key, msgspec.msgpack.encode(value))
                count += before is None
            elif before is not None:
                batch.delete(prefix + key)
                count -= 1
        return self._put(batch, partition, count)

    def clear(self, batch: StoreBatch, partition: int) -> Mapping[int, int]:
        """Forget the keys of a partition, whose log is read again from its start; return `counts` as `add` does."""
        prefix = UNREADABLE + _PARTITION.pack(partition)
        batch.delete_range(prefix, after_prefix(prefix) or prefix)
        return self._put(batch, partition, 0)

    def of(self, partition: int, key: bytes) -> UnreadableKey | None:
        """Return where and why the newest record of a key was rejected; None if it was not."""
        if not self.counts.get(partition):
            return None
        found = self._store.get(UNREADABLE + _PARTITION.pack(partition) + key)
        return None if found is None else _decode(found)

    def among(self, partition: int, keys: Sequence[bytes]) -> set[bytes]:
        """Return the keys whose newest record was rejected."""
        if not self.counts.get(partition):
            return set()
        prefix = UNREADABLE + _PARTITION.pack(partition)
        found = self._store.get_many([prefix + key for key in keys])
        return {key for key, value in zip(keys, found, strict=True) if value is not None}

    def all(self, partition: int) -> Iterator[UnreadableKey]:
        """Return the unreadable keys of a partition, in order."""
        return (_decode(value) for _, value in self._store.scan_prefix(UNREADABLE + _PARTITION.pack(partition)))

    def _put(self, batch: StoreBatch, partition: int, count: int) -> Mapping[int, int]:
        counts = {**self.counts, partition: count}
        batch.put(UNREADABLE_KEY, msgspec.msgpack.encode(counts))
        return counts


def leaves_nothing(record: Record) -> bool:
    """Return whether a record is a plain deletion, which is rejected only under a key that no row can have."""
    return record.value is None and not record.headers
