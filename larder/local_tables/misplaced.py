"""Which records do not belong where they lie: in their partition, or in the topic at all.

A record is looked up where its key belongs, as Java's default partitioner has it. A row elsewhere would never be
found from there; or it would be found beside another copy of itself, by a record that went astray as well, and
nobody could tell which of the two holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from larder.declaring.compiled.joins import LookedUp
from larder.declaring.one_form import as_sent
from larder.declaring.partitioning import astray
from larder.declaring.records import Record
from larder.declaring.sources import Lookup
from larder.delivery.headers import GENERATION_HEADER
from larder.kafka.partitioner import partition_of, partitions_of
from larder.store.records import Rejected


def misplaced(records: Sequence[Record], partition: int, count: int) -> list[Rejected]:
    """Records of `partition` that belong elsewhere, each with its cause; `count` is that of the topic.

    A record without key belongs nowhere: that is found out, and said, when it is applied.
    """
    keyed = [record for record in records if record.key is not None]
    places = partitions_of([record.key for record in keyed if record.key is not None], count)
    if places.count(partition) == len(places):
        return []
    return [
        Rejected(record, _cause(place, partition, count) + _other_form(record))
        for record, place in zip(keyed, places, strict=True)
        if place != partition
    ]


class RecordPlaces:
    """Whether records of a partition lie where their rows do; `counts` are the partitions of tables by partition."""

    def __init__(self, partition: int, lookups: Sequence[Lookup], counts: Sequence[int]) -> None:
        self._partition = partition
        self._lookups = list(zip(lookups, counts, strict=True))

    def cause(self, found: LookedUp) -> str:
        """Say why a row that a record lacks cannot be found from where it lies; empty if it can."""
        for (lookup, count), key, row in zip(self._lookups, found.references, found.rows, strict=True):
            if row is None and key is not None and count and lookup.table.held == "partition":
                place = partition_of(key, count)
                if place != self._partition:
                    return astray(lookup, key, place, self._partition) + _other_form(found.record)
        return ""


def of_others(records: Sequence[Record]) -> list[Rejected]:
    """Records of an internal topic that no worker wrote, each with its cause: a worker adds its generation to each.

    However well such a record is formed, it must not hide a row of the service under the same key.
    """
    return [each for each in map(_of_others, records) if each is not None]


def _of_others(record: Record) -> Rejected | None:
    if any(name == GENERATION_HEADER for name, _ in record.headers or ()):
        return None
    return Rejected(record, _NOT_OURS)


_NOT_OURS = (
    f"an internal topic requires records that this service wrote, with the header {GENERATION_HEADER}; found none: take"
    " the right to write there from others"
)


def _other_form(record: Record) -> str:
    """Say that a key is looked for elsewhere because it was written in another form."""
    if as_sent(record) is record:
        return ""
    return f"; its key was sent as {as_sent(record).key!r}, and is looked up as {record.key!r}: send it so"


def _cause(place: int, partition: int, count: int) -> str:
    return (
        f"a row of a co-partitioned table requires the partition that its key belongs to, {place} of {count}; found in"
        f" {partition}; send it as Java's default partitioner does (murmur2), or make the table global"
    )
