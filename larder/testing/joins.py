"""Runs a join in memory with the functions of the worker."""

from __future__ import annotations

from typing import TypeAlias

from larder.declaring.compiled.field_reader import Keys
from larder.declaring.compiled.joins import Rows, compile_join
from larder.declaring.joins import Join
from larder.declaring.missing import DeadLetter, Drop
from larder.declaring.partition_counts import partitions
from larder.testing.placement import check_record_place
from larder.testing.records import MemoryRecord
from larder.testing.results import results_of
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep

Lookups: TypeAlias = tuple[Keys, Rows]
"""The keys that a record looks up in the tables of its join, and the rows under them."""


class MemoryJoin(MemoryStep):
    """A join whose records do not wait for their partners."""

    def __init__(self, join: Join, run: MemoryRun) -> None:
        """Compile a join."""
        self.inputs = {join.source: self._take}
        self.results = results_of(join, run)
        self._join = join
        self._compiled = compile_join(join)
        self._tables = [run.table(table.topic) for table in join.uses()]
        self._counts = [partitions(run.service, table.topic, {}) for table in join.uses()]

    def keeps(self, record: MemoryRecord, found: Lookups) -> bool:  # noqa: ARG002 - for joins that wait
        """Keep a record that has to wait, and return whether it does; raise ValueError if it may not wait."""
        return False

    def supersede(self, record: MemoryRecord) -> None:
        """Drop the waiting record of a row that a later record replaces."""

    def look(self, record: MemoryRecord) -> Lookups:
        """Look up a record's rows in the tables as they are now."""
        keys = self._compiled.references(record.value)
        for lookup, key, count in zip(self._join.lookups, keys, self._counts, strict=True):
            check_record_place(self._join.source, record, lookup, key, count)
        return keys, [table.get(key) for table, key in zip(self._tables, keys, strict=True)]

    def finish(self, record: MemoryRecord, found: Lookups) -> None:
        """Publish a result, or take the last step if a partner is missing; raise ValueError for a dead letter."""
        keys, rows = found
        missing = None in rows
        if missing and self._join.settle is DeadLetter:
            raise ValueError(self._compiled.why_missing(keys, rows))
        dropped = missing and self._join.settle is Drop
        result = None if dropped else self._compiled.output(record.key, record.value or b"", rows)
        if result is None:
            self.results.none(record)
        else:
            self.results.made(record, *result)

    def _take(self, record: MemoryRecord) -> None:
        if record.value is None and self._join.of_rows:
            self.results.deleted(record)
            self.supersede(record)
            return
        try:
            self._one(record)
        except ValueError:
            if record.value is None:
                self.supersede(record)
            self.results.failed(record)
            raise

    def _one(self, record: MemoryRecord) -> None:
        found = self.look(record)
        if not self.keeps(record, found):
            self.supersede(record)
            self.finish(record, found)
