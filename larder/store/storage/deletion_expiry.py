"""Forgetting deletions that are old enough, in bounded steps.

The memory of a deletion keeps a late older event from bringing a row back; for ever
would be a leak. Its age goes from when it was read to when the store last met the ends of
its partitions: everything that was appended within the retention behind the deletion has
then been applied, and found the deletion remembered. So each store ends with the same rows,
whenever it read them, and however long it was closed in between. The times of records say
nothing: in a backfill they jump by days from one record to the next. An older event that is
appended later than the retention brings the row back where the deletion was read before:
that is the promise's limit.

It knows one store, and may not know consumers.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Final

from larder.store.layout import HEADER_SIZE, ROW, origin, tombstone_key, unpack_tombstone
from larder.store.storage.store import Store, StoreBatch

# Kafka's own default for how long a compacted topic keeps its deletions
# (delete.retention.ms): what comes later than that was not kept in order anyway.
TOMBSTONE_RETENTION: Final = timedelta(hours=24)


def forget(
    store: Store,
    partitions: Iterable[int],
    at_end: float,
    retention: timedelta,
    max_rows: int,
) -> int:
    """Forget deletions of all partitions of a store; gives how many places were seen.

    `at_end`: when all of them had met their ends, in seconds since 1970. As many as `max_rows` for each partition: when
    the answer is 0 there is nothing left to do.
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
    """Say whether a key is still deleted, and by the deletion that was queued."""
    if stored is None or len(stored) > HEADER_SIZE:
        return False
    found = origin(stored)
    return found.partition == partition and found.timestamp == read_at
