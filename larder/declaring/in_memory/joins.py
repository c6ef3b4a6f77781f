"""A join in memory: the very functions that the worker uses, record by record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from larder.declaring.compiled.joins import CompiledJoin, compile_join, compile_rekey
from larder.declaring.dead_letters import cause_of
from larder.declaring.in_memory.placement import check_record_place
from larder.declaring.missing import DeadLetter, Drop
from larder.declaring.partition_counts import partitions
from larder.declaring.sources import Source, events_of
from larder.declaring.topics import Rekeyed

if TYPE_CHECKING:
    from larder.declaring.in_memory.records import MemoryRecord
    from larder.declaring.in_memory.run import MemoryRun
    from larder.declaring.in_memory.table import MemoryTable
    from larder.declaring.joins import Join


def run_join(run: MemoryRun, join: Join) -> None:
    """Join every record of a source, in order."""
    tables = [run.table(lookup.table.topic) for lookup in join.lookups]
    counts = [partitions(run.service, lookup.table.topic, {}) for lookup in join.lookups]
    compiled = compile_join(join)
    partition_key = partition_key_of(join.source)
    source = events_of(join.source)
    for record in run.log(source.name):
        result: tuple[bytes, bytes | None] | None = None
        try:
            if record.value is not None or not join.of_rows:
                left_out = partition_key is not None and partition_key(record.value) is None
                result = None if left_out else _result(compiled, tables, counts, record)
        except ValueError as error:
            run.park(source.name, record, cause_of(error))
        if result is None and join.of_rows and record.key is not None:
            result = (record.key, None)
        if result is not None:
            run.publish(join.into, result)


def partition_key_of(source: Source) -> Callable[[bytes | None], bytes | None] | None:
    """Build what gives the key that `.by` goes by, and None for a record that it leaves out."""
    return compile_rekey(source) if isinstance(source, Rekeyed) else None


def _result(
    compiled: CompiledJoin, tables: Sequence[MemoryTable], counts: Sequence[int], record: MemoryRecord
) -> tuple[bytes, bytes] | None:
    references = compiled.references(record.value)
    for lookup, key, count in zip(compiled.join.lookups, references, counts, strict=True):
        check_record_place(compiled.join.source, record, lookup, key, count)
    rows = [table.get(key) for table, key in zip(tables, references, strict=True)]
    if None in rows:
        step = compiled.join.settle
        if step is DeadLetter:
            raise ValueError(compiled.why_missing(references, rows))
        if step is Drop:
            return None
    return compiled.output(record.key, record.value or b"", rows)
