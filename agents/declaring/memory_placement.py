"""Which rows a worker would have beside a record: those of the partition in which the record lies.

A run in memory has all rows in one place. It leaves out those that a worker could not find.
"""

from agents.declaring.joins import Lookup, Source
from agents.declaring.memory_records import MemoryRecord
from agents.declaring.partitioning import misplaced, partition_of
from tables.declaring.topics import OwnerTopic, Rekeyed


def is_held(source: Source, record: MemoryRecord, lookup: Lookup, key: bytes | None, count: int) -> bool:
    """Whether the worker that joins a record holds the partition of the row that it looks up."""
    if key is None or lookup.table.held == "global" or isinstance(source, Rekeyed) or count == 1:
        return True
    return record.key is not None and partition_of(record.key, count) == partition_of(key, count)


def check_event_place(source: Source, record: MemoryRecord, state: OwnerTopic, key: bytes, count: int) -> None:
    """Raise ValueError for an event that lies in another partition than the row of its key."""
    if isinstance(source, Rekeyed) or count == 1:
        return
    if record.key is None:
        message = f"the event has no message key, so that it may lie in any partition, of {count}; use .by on the input"
        raise ValueError(message)
    check_place(state, key, partition_of(record.key, count), count)


def check_place(state: OwnerTopic, key: bytes, partition: int, count: int) -> None:
    """Raise ValueError for a key that does not belong to a partition of the state."""
    if (place := partition_of(key, count)) != partition:
        raise misplaced(state, key, place, partition)
