"""Compiles joins into fast functions from bytes to bytes.

`compile_join` works out once whatever does not depend on the record, so that each record costs a partial decode and
a splice. Workers and runs in memory use the same functions. No I/O; knows no store, no partition, and no steps for
a record without a partner.

Faults of a record are raised as ValueError with a readable cause.
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
    """The functions of a join, over bytes.

    references(value)        gives the encoded key in each table, in the order of the
                             lookups; None if the field is null. ValueError for a record
                             without a value, or one that cannot be read.
    references_many(values)  does the same for a batch, faster: a list of keys for each
                             lookup. It raises if any value is bad, without saying which;
                             then process them one by one.
    output(key, value, rows) gives key and value of the result for a record and the raw row
                             of each lookup (None if it is passed on without); None if the
                             join's function returns no result. ValueError as above, and
                             if the function fails.
    output_many(keys, values, rows)
                             does the same for a batch, with a column of rows for each
                             lookup: gives keys, values (None for no result), and the
                             number of records from which a field with the name of an
                             embedded row was removed. Raises as references_many does.

    Only the needed fields are decoded and checked; the rest of a record is checked to be
    JSON, and passes through unchanged.
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
        """Say which partners a record lacks, for readers of dead letters."""
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

    It raises ValueError for an event without a value or the field, and for null unless `missing` drops it.
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
    """Build the function that gives the encoded key by which rows are partitioned, or None for null, and the revision.

    It raises ValueError for a row without these fields. `revision` names the field of the revision.
    """
    key_type = scalar(rekeyed.row, rekeyed.field).key_type or TEXT
    read, _ = reader(rekeyed.row, [(rekeyed.field, key_type), (revision, INT64)])

    def placed(value: bytes | None) -> tuple[bytes | None, int]:
        by, number = read(value)
        return by, INT64.decode(number or b"")

    return placed


def revision_reader(join: Join) -> Callable[[bytes | None], int] | None:
    """Build the function that gives the revision of a joined row; None if results have no revision."""
    source, into = events_of(join.source), join.into
    if not (isinstance(source, OwnerTopic) and isinstance(into, OwnerTopic) and source.revision and into.revision):
        return None
    read, _ = reader(source.row, [(source.revision, INT64)])
    return lambda value: INT64.decode(read(value)[0] or b"")
