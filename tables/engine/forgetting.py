"""Forgetting deletions that are old enough, in bounded steps.

The memory of a deletion keeps a late older event from bringing a row back; for ever
would be a leak. Age is measured in the time of records, so that a replay decides as the first
reading did: from the newest record before the deletion (an old or missing time makes it no
older) up to the newest one of the same partition; a record from the future is held against
the clock. An older event that comes later than the retention brings the row
back: that is the promise's limit.

It knows one store, and may not know consumers.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Final

from tables.engine.layout import HEADER_SIZE, ROW, Mark, origin, tombstone_key, unpack_tombstone
from tables.engine.store import Batch, Store

# Kafka's own default for how long a compacted topic keeps its deletions
# (delete.retention.ms): what comes later than that was not kept in order anyway.
TOMBSTONE_RETENTION: Final = timedelta(hours=24)


def forget(
    store: Store,
    marks: Mapping[int, Mark],
    now: float,
    retention: timedelta,
    max_rows: int,
) -> int:
    """Forget deletions of all partitions of a store; gives how many places were seen.

    `now` in seconds since 1970. As many as `max_rows` for each partition: when the
    answer is 0 there is nothing left to do.
    """
    batch, seen = Batch(), 0
    keep_ms = retention // timedelta(milliseconds=1)
    for partition, mark in marks.items():
        horizon = min(mark.newest, int(now * 1000)) - keep_ms
        if horizon <= 0:
            continue
        due = store.scan(tombstone_key(partition, 0, b""), tombstone_key(partition, horizon, b""))
        for queued, _ in islice(due, max_rows):
            seen += 1
            timestamp, key = unpack_tombstone(queued)
            batch.delete(queued)
            if _is_that_deletion(store.get(ROW + key), partition, timestamp):
                batch.delete(ROW + key)
    if seen:
        store.write(batch)
    return seen


def _is_that_deletion(stored: bytes | None, partition: int, timestamp: int) -> bool:
    """Say whether a key is still deleted, and by the deletion that was queued."""
    if stored is None or len(stored) > HEADER_SIZE:
        return False
    found = origin(stored)
    return found.partition == partition and max(0, found.timestamp) == timestamp
