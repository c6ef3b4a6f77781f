"""Assigns keys to partitions, and makes the errors for keys that belong to another partition.

The hash is murmur2 as Java's default partitioner computes it. Sources:
`org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from larder.declaring.sources import Lookup, TableUse, partitioned_by
from larder.declaring.topics import OwnerTopic

if TYPE_CHECKING:
    from larder.declaring.calls import Call

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of `key` in a topic with `count` partitions."""
    return (_murmur2(key) & 0x7FFFFFFF) % count


def misplaced(topic: OwnerTopic, key: bytes, place: int, partition: int) -> ValueError:
    """Return the error for a decide that changes a row in another partition than its event's."""
    return ValueError(
        f"a decide requires keys of the event's own partition, {partition}; found {topic.key_codec.decode(key)!r} of"
        f" {topic.name}, which belongs to {place}; use .by on the input, or emit an event that is partitioned so"
    )


def astray_call(call: Call, place: int, partition: int) -> ValueError:
    """Return the error for an event of a call that is in another partition than that of its key."""
    source = call.source
    return ValueError(
        f"a call requires events in the partition of their {partitioned_by(source)}, {place}; found one in {partition};"
        " send it as Java's default partitioner does (murmur2), or use .by on the source"
    )


def astray(lookup: Lookup, key: bytes, place: int, partition: int) -> str:
    """Return the error for a join whose row is in another partition than its record."""
    topic = lookup.table.topic
    return (
        f"a join with rows by partition requires records in the partition of their rows, {place} for"
        f" {topic.key_codec.decode(key)!r} of {topic.name}; found one in {partition}; send it as Java's default"
        " partitioner does (murmur2), or use .by on the input"
    )


def not_near(topic: OwnerTopic, key: Any, place: int, count: int, partition: int) -> ValueError:
    """Return the error for a decide that reads a row in another partition than its event's."""
    return ValueError(
        f"near reads rows of the event's own partition, {partition}; {key!r} of {topic.name} is in {place} of {count}"
    )


def never_near(service: str, table: TableUse) -> ValueError:
    """Return the error for a decide that reads a table to which it has no access."""
    return ValueError(
        f"near reads global tables of {service}, and those with as many partitions as the state; found"
        f" {table.name} of {table.service}"
    )


def _murmur2(key: bytes) -> int:
    length = len(key)
    whole = length & ~3
    hashed = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        mixed = word * _M & _MASK
        hashed = (hashed * _M & _MASK) ^ ((mixed ^ mixed >> 24) * _M & _MASK)
    if whole < length:
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return hashed ^ hashed >> 15
