"""Forgets old deletions, in bounded steps.

A remembered deletion keeps a late older event from bringing its row back; remembering all of them forever would be a
leak. The age of a deletion is the time from when it was read to when the store last reached the ends of its
partitions. By then the store has applied everything that was appended within the retention after the deletion, while
it was remembered. So every store ends with the same rows, whenever it read them, and however long it was closed in
between. The times of records do not matter: in a backfill they jump by days. An older event that is appended after the
retention brings the row back in a store that has forgotten the deletion: that is the limit of the promise.

Knows one store, but no consumers.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Final

from larder.store.layout import HEADER_SIZE, ROW, origin, tombstone_key, unpack_tombstone
from larder.store.storage.store import Store, StoreBatch

# Kafka's own default for how long a compacted topic keeps deletions (delete.retention.ms).
# Kafka itself does not keep the order of later records.
TOMBSTONE_RETENTION: Final = timedelta(hours=24)


def forget(
    store: Store,
    partitions: Iterable[int],
    at_end: float,
    retention: timedelta,
    max_rows: int,
) -> int:
    """Forget old deletions of all partitions of a store; return how many entries were checked.

    `at_end` is when all of them had reached their ends, in seconds since 1970. Checks up to `max_rows` entries of each
    partition; 0 means that nothing is left to do.
    """
    batch, seen = StoreBatch(), 0
    horizon = max(0, int((at_end - retention.total_seconds()) * 1000))
    for partition in partitions:
        due = store.scan(tombstone_key(partition, 0, b""), tombstone_key(partition, horizon, b""))
        for queued, _ in islice(due, max_rows):
            seen += 1
            read_at, key = unpack_tombstone(queued)
            batch.delete(queued)
            if _is_that_deletion(store.get(ROW + key), partition, read_at):
                batch.delete(ROW + key)
    if seen:
        store.write(batch)
    return seen


def _is_that_deletion(stored: bytes | None, partition: int, read_at: int) -> bool:
    """Return whether a key is still deleted, by the queued deletion."""
    if stored is None or len(stored) > HEADER_SIZE:
        return False
    found = origin(stored)
    return found.partition == partition and found.timestamp == read_at
