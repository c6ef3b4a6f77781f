"""Finds misplaced records: those in a wrong partition, and those that do not belong in the topic at all.

A row is looked up in the partition of its key, which Java's default partitioner determines. In another partition it
would never be found, except by records that are misplaced too; and if there were a second copy of it in its own
partition, the two could differ.
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
    """Return the records of `partition` that belong in another one, each with its cause; the topic has `count`.

    A record without a key is left out: it is rejected when it is applied.
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
    """Checks that records of a partition are where their rows are; `counts`: how many partitions each table has."""

    def __init__(self, partition: int, lookups: Sequence[Lookup], counts: Sequence[int]) -> None:
        self._partition = partition
        self._lookups = list(zip(lookups, counts, strict=True))

    def cause(self, found: LookedUp) -> str:
        """Return why a record cannot find its row from its partition; empty if it can."""
        for (lookup, count), key, row in zip(self._lookups, found.references, found.rows, strict=True):
            if row is None and key is not None and count and lookup.table.held == "partition":
                place = partition_of(key, count)
                if place != self._partition:
                    return astray(lookup, key, place, self._partition) + _other_form(found.record)
        return ""


def foreign(records: Sequence[Record]) -> list[Rejected]:
    """Return the records of an internal topic that no worker wrote, each with its cause.

    Workers add their generation to each record. Even a valid record without one must not hide a row of the service
    under the same key.
    """
    return [each for each in map(_foreign, records) if each is not None]


def _foreign(record: Record) -> Rejected | None:
    if any(name == GENERATION_HEADER for name, _ in record.headers or ()):
        return None
    return Rejected(record, _NOT_OURS)


_NOT_OURS = (
    f"an internal topic requires records that this service wrote, with the header {GENERATION_HEADER}; found none;"
    " revoke the right of others to write there"
)


def _other_form(record: Record) -> str:
    """Explain that a key is looked up in another form than the one in which it was sent; empty if it is not."""
    if as_sent(record) is record:
        return ""
    return f"; its key was sent as {as_sent(record).key!r}, and is looked up as {record.key!r}: send it so"


def _cause(place: int, partition: int, count: int) -> str:
    return (
        f"a row of a co-partitioned table requires the partition that its key belongs to, {place} of {count}; found in"
        f" {partition}; send it as Java's default partitioner does (murmur2), or make the table global"
    )
