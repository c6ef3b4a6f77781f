"""Compiles joins into fast functions from bytes to bytes.

`compile_join` works out once whatever does not depend on the record, so that each record costs a partial decode and
a splice. Workers and runs in memory use the same functions. They do no I/O, and do not know stores, partitions, or
the steps for a record without a partner.

For a faulty record they raise ValueError with a readable cause.
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
    """A record with its key and its row in the table of each lookup; None for a key or a row that is missing.

    If the record's fields cannot be read, there are no keys and no rows, and `unreadable` is the cause.
    """

    record: Record
    references: Keys = ()
    rows: Rows = ()
    unreadable: str = ""


@dataclass(frozen=True)
class CompiledJoin:
    """The functions of a join, over bytes.

    references(value)        returns the encoded key in each table, in the order of the
                             lookups; None if the field is null. Raises ValueError if the
                             record has no value, or cannot be read.
    references_many(values)  does the same for a batch, faster: returns a list of keys for
                             each lookup. It raises if any value is bad, without saying
                             which; then process the values one by one.
    output(key, value, rows) returns the key and the value of the result for a record and
                             the raw row of each lookup (None for a missing row that is
                             passed on); None if the join's function returns no result.
                             Raises ValueError as above, and if the function fails.
    output_many(keys, values, rows)
                             does the same for a batch, with a column of rows for each
                             lookup. Returns keys, values (None for no result), and the
                             number of records from which it removed a field with the name
                             of an embedded row. Raises as references_many does.

    These functions decode and check only the needed fields. They check that the rest of
    a record is JSON, and pass it through unchanged.
    """

    join: Join
    references: One
    references_many: Many
    output_many: OutputMany

    def output(self, key: bytes | None, value: bytes, rows: Rows) -> Produced | None:
        """Return the result of one record, as described above."""
        (made,), (result,), _ = self.output_many((key,), (value,), [(row,) for row in rows])
        return None if result is None else (made, result)

    def why_missing(self, references: Keys, rows: Rows) -> str:
        """Describe which partners a record lacks, for readers of dead letters."""
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


class CompiledRekey(NamedTuple):
    """Functions that return the encoded key by which events are partitioned, or None for null.

    `one(value)` raises ValueError if an event lacks a value or the field, or if the field is null and `missing` does
    not drop the event. `many(values)` does the same for a batch, faster, without saying which value is bad.
    """

    one: Callable[[bytes | None], bytes | None]
    many: Callable[[Sequence[bytes | None]], Sequence[bytes | None]]


def compile_rekey(rekeyed: Rekeyed) -> CompiledRekey:
    """Build the functions of events that are partitioned by a field."""
    key_type = scalar(rekeyed.row, rekeyed.field).key_type or TEXT
    read, read_many = reader(rekeyed.row, [(rekeyed.field, key_type)])

    def checked(keys: Sequence[bytes | None]) -> Sequence[bytes | None]:
        if None in keys and rekeyed.missing is not Drop:
            message = f"{rekeyed.field} is null: the event belongs to no partition"
            raise ValueError(message)
        return keys

    return CompiledRekey(lambda value: checked(read(value))[0], lambda values: checked(read_many(values)[0]))


def compile_row_rekey(rekeyed: Rekeyed, revision: str) -> Callable[[bytes | None], tuple[bytes | None, int]]:
    """Build the function that returns the encoded key that partitions a row (None for null), and the row's revision.

    It raises ValueError if a row lacks these fields. `revision` is the name of the revision's field.
    """
    key_type = scalar(rekeyed.row, rekeyed.field).key_type or TEXT
    read, _ = reader(rekeyed.row, [(rekeyed.field, key_type), (revision, INT64)])

    def placed(value: bytes | None) -> tuple[bytes | None, int]:
        by, number = read(value)
        return by, INT64.decode(number or b"")

    return placed


def revision_reader(join: Join) -> Callable[[bytes | None], int] | None:
    """Build the function that returns the revision of a joined row; None if results have no revision."""
    source, into = events_of(join.source), join.into
    if not (isinstance(source, OwnerTopic) and isinstance(into, OwnerTopic) and source.revision and into.revision):
        return None
    read, _ = reader(source.row, [(source.revision, INT64)])
    return lambda value: INT64.decode(read(value)[0] or b"")
