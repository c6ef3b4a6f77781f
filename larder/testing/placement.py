"""Checks that a worker would have the rows that a record needs: those of the record's partition.

A run in memory has all rows in one place. It refuses records whose rows a worker could not find.
"""

from larder.declaring.partitioning import astray, misplaced, partition_of
from larder.declaring.sources import Lookup, Source
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.testing.records import MemoryRecord


def check_record_place(source: Source, record: MemoryRecord, lookup: Lookup, key: bytes | None, count: int) -> None:
    """Raise ValueError if a record may be in another partition than the row that it looks up."""
    if key is None or lookup.table.held == "global" or isinstance(source, Rekeyed) or count == 1:
        return
    if record.key is None:
        message = (
            f"the record has no message key, so that it may lie in any partition, of {count}; use .by on the input"
        )
        raise ValueError(message)
    if (place := partition_of(key, count)) != (partition := partition_of(record.key, count)):
        raise ValueError(astray(lookup, key, place, partition))


def check_event_place(source: Source, record: MemoryRecord, state: OwnerTopic, key: bytes, count: int) -> None:
    """Raise ValueError if an event may be in another partition than the row of its key."""
    if isinstance(source, Rekeyed) or count == 1:
        return
    if record.key is None:
        message = f"the event has no message key, so that it may lie in any partition, of {count}; use .by on the input"
        raise ValueError(message)
    check_place(state, key, partition_of(record.key, count), count)


def check_place(state: OwnerTopic, key: bytes, partition: int, count: int) -> None:
    """Raise ValueError if a key does not belong to a partition of the state."""
    if (place := partition_of(key, count)) != partition:
        raise misplaced(state, key, place, partition)
