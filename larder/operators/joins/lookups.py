"""Finds the rows of a join's records: reads the keys from the records, and looks them up in the tables.

A table is anything with a `raw_many`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple, Protocol, cast

from larder.declaring.compiled.joins import CompiledJoin, LookedUp
from larder.declaring.dead_letters import cause_of
from larder.declaring.records import Record

Column = Sequence[bytes | None]


class RowSource(Protocol):
    """Rows by encoded key."""

    def raw_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...


class Columns(NamedTuple):
    """A slice of records by column: their values, and the keys and rows of each lookup."""

    values: Sequence[bytes]
    references: Sequence[Column]
    rows: Sequence[Column]

    def complete(self) -> bool:
        """Return whether all rows were found."""
        return not any(None in column for column in self.rows)

    def each(self, records: Sequence[Record]) -> list[LookedUp]:
        """Return the same by record."""
        return list(
            starmap(
                LookedUp,
                zip(records, zip(*self.references, strict=True), zip(*self.rows, strict=True), strict=True),
            )
        )


class Lookups:
    """The lookups of one join, each with its table."""

    def __init__(self, compiled: CompiledJoin, tables: Sequence[RowSource]) -> None:
        self._compiled = compiled
        self._tables = tables

    def many(self, records: Sequence[Record]) -> Columns:
        """Look up a slice of records; raise ValueError if one of them cannot be read."""
        # A record without a value makes references_many raise.
        values = cast("list[bytes]", [record.value for record in records])
        references = self._compiled.references_many(values)
        rows = [_rows(column, keys) for column, keys in zip(self._tables, references, strict=True)]
        return Columns(values, references, rows)

    def one(self, record: Record) -> LookedUp:
        """Look up one record in the current tables."""
        try:
            references = self._compiled.references(record.value)
        except ValueError as error:
            return LookedUp(record, unreadable=cause_of(error))
        rows = tuple(
            None if key is None else table.raw_many((key,))[0]
            for table, key in zip(self._tables, references, strict=True)
        )
        return LookedUp(record, references, rows)


def _rows(table: RowSource, keys: Column) -> Column:
    present = [key for key in keys if key is not None]
    if len(present) == len(keys):
        return table.raw_many(present)
    found = iter(table.raw_many(present))
    return [None if key is None else next(found) for key in keys]
