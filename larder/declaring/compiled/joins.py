"""Joins as fast functions from bytes to bytes.

Everything that can be known before the first record is worked out once, in
`compile_join`; what is left is a partial decode and a splice for each record. The
worker and `run_in_memory` use the same functions. No I/O, and nothing here knows a
table's store, a partition, or what becomes of a record without partner.

What a record can be blamed for is raised as ValueError, with a cause to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from larder.declaring.compiled.field_reader import Keys, Many, One, reader
from larder.declaring.compiled.outputs import OutputMany, Produced, outputs_of
from larder.declaring.fields import scalar
from larder.declaring.keys import INT64, TEXT
from larder.declaring.missing_fields import Drop
from larder.declaring.records import Record
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.joins import Join

Rows: TypeAlias = Sequence[bytes | None]


class LookedUp(NamedTuple):
    """A record with its keys in the tables and the rows under them, for each lookup; None for what is not there.

    `unreadable` says why there are none: the record's fields cannot be read.
    """

    record: Record
    references: Keys = ()
    rows: Rows = ()
    unreadable: str = ""


@dataclass(frozen=True)
class CompiledJoin:
    """What a join does with a record, as functions over bytes.

    references(value)        the encoded key in each table, in the order of the
                             lookups; None where the field is null. ValueError for a
                             record without a value, or one that cannot be read.
    references_many(values)  the same for a batch, a list of keys for each lookup, and
                             quicker. It raises if any value is bad, without saying
                             which: then go through them one by one.
    output(key, value, rows) key and value of the result, given the record's own and
                             the raw row for each lookup (None: goes on without);
                             None when the join's function wants no result.
                             ValueError as above, and when the function fails.
    output_many(keys, values, rows)
                             the same for a batch, with a column of rows for each
                             lookup: a list of keys and one of values, with None for a
                             value that is not wanted, and the number of records of which
                             a field with the name of an embedded row was left out. It
                             raises as references_many.

    Only the fields that are needed are decoded and checked; the rest of a record is
    checked to be JSON, and goes through as it is.
    """

    join: Join
    references: One
    references_many: Many
    output_many: OutputMany

    def output(self, key: bytes | None, value: bytes, rows: Rows) -> Produced | None:
        """See above."""
        (made,), (result,), _ = self.output_many((key,), (value,), [(row,) for row in rows])
        return None if result is None else (made, result)

    def why_missing(self, references: Keys, rows: Rows) -> str:
        """Say which partners a record lacks, for a person who reads dead letters."""
        return "; ".join(
            f"{lookup.field} is null"
            if reference is None
            else f"{lookup.table.name} has no row {lookup.table.topic.key_codec.decode(reference)!r}"
            for lookup, reference, row in zip(self.join.lookups, references, rows, strict=True)
            if row is None
        )


def compile_join(join: Join) -> CompiledJoin:
    """Build the functions of a join whose declaration has no problems."""
    references, references_many = reader(
        join.source.row,
        [(lookup.field, lookup.table.topic.key_codec) for lookup in join.lookups],
    )
    return CompiledJoin(join, references, references_many, outputs_of(join))


def compile_rekey(rekeyed: Rekeyed) -> Callable[[bytes | None], bytes | None]:
    """Build the function that gives the encoded key by which events are partitioned, or None for null.

    ValueError for an event without a value or without the field, and for null unless `missing` drops it.
    """
    key_type = scalar(rekeyed.row, rekeyed.field).key_type or TEXT
    read, _ = reader(rekeyed.row, [(rekeyed.field, key_type)])

    def partition_key(value: bytes | None) -> bytes | None:
        (key,) = read(value)
        if key is None and rekeyed.missing is not Drop:
            message = f"{rekeyed.field} is null: the event belongs to no partition"
            raise ValueError(message)
        return key

    return partition_key


def compile_row_rekey(rekeyed: Rekeyed, revision: str) -> Callable[[bytes | None], tuple[bytes | None, int]]:
    """Build the function that gives the encoded key by which rows are partitioned, or None for null; and the revision.

    ValueError for a row without the fields. `revision` is the field that has it.
    """
    key_type = scalar(rekeyed.row, rekeyed.field).key_type or TEXT
    read, _ = reader(rekeyed.row, [(rekeyed.field, key_type), (revision, INT64)])

    def placed(value: bytes | None) -> tuple[bytes | None, int]:
        by, number = read(value)
        return by, INT64.decode(number or b"")

    return placed


def revision_reader(join: Join) -> Callable[[bytes | None], int] | None:
    """Build the function that gives the revision of a row that is joined; None where results have none."""
    source, into = events_of(join.source), join.into
    if not (isinstance(source, OwnerTopic) and isinstance(into, OwnerTopic) and source.revision and into.revision):
        return None
    read, _ = reader(source.row, [(source.revision, INT64)])
    return lambda value: INT64.decode(read(value)[0] or b"")
