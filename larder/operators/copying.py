"""Copies a partition of an internal topic into the next generation of its service, while no record is processed.

Records keep their keys, values, headers and times, and the records of a key their order: they come from one partition,
and go to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from larder.declaring.records import PlainRecord, Record
from larder.delivery.delivery import Delivery
from larder.delivery.headers import WAITED_HEADER
from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of
from larder.local_tables.table import LocalTable
from larder.operators.context import PartitionContext
from larder.operators.joins.waiting_index import WaitingPlace
from larder.operators.joins.waiting_records import read
from larder.operators.partition_keys import KeyOf

SLICE_RECORDS = 200
"""How many waiting records are put back before control returns to the event loop."""


class Cursor(NamedTuple):
    """The next offset to copy of a partition, and the begin of its log."""

    position: int
    begin: int


class Copying:
    """Copies records to `output`, partitioned by `key_of`.

    A record without such a key goes to all partitions if it has no value: it ends what waits under its message key,
    wherever that is. Any other one is foreign, and is dead-lettered from some partition as before.
    """

    def __init__(self, output: Output, key_of: KeyOf, at: PartitionContext, table: LocalTable | None = None) -> None:
        """`table` is the table that has the records; those that do not belong into the partition stay behind."""
        self._output = output
        self._key_of = key_of
        self._tp = at.tp
        self._delivery = at.delivery
        self._table = table

    def process(self, records: Sequence[Record]) -> None:
        going = self._at_home(records)
        keys = [self._key_of(record) for record in going]
        if None in keys:
            for record, key in zip(going, keys, strict=True):
                self._copy(record, key)
            return
        self._delivery.emit_many(
            self._output,
            [record.key for record in going],
            [record.value for record in going],
            [record.timestamp for record in going],
            by=[key for key in keys if key is not None],
            headers=[list(record.headers) for record in going] if any(record.headers for record in going) else None,
        )

    def busy(self) -> bool:
        return False

    def _at_home(self, records: Sequence[Record]) -> Sequence[Record]:
        if self._table is None:
            return records
        elsewhere = {each.record.offset for each in self._table.misplaced(self._tp.partition, records)}
        return [record for record in records if record.key is not None and record.offset not in elsewhere]

    def _copy(self, record: Record, key: bytes | None) -> None:
        count = self._output.partitions
        if key is not None:
            to: Sequence[int] = (partition_of(key, count),)
        else:
            to = range(count) if record.value is None else (self._tp.partition % count,)
        for partition in to:
            emit(self._delivery, self._output, partition, record, list(record.headers))


class CopyHandler:
    """A partition that is copied from a cursor on. If it is also a table's, its rows go to the store."""

    def __init__(self, at: PartitionContext, copying: Copying, cursor: Cursor, table: LocalTable | None) -> None:
        self._tp = at.tp
        self._delivery = at.delivery
        self._copying = copying
        self._position = cursor.position
        self._table = table

    def process(self, records: Sequence[Record], position: int) -> None:
        if self._table is not None:
            self._table.apply(self._tp.partition, records, position)
        if position <= self._position:
            return
        self._copying.process([record for record in records if record.offset >= self._position])
        self._position = position
        self._delivery.done(self._tp, position)

    def busy(self) -> bool:
        return False


class StoreHandler:
    """A partition of a table of the next generation: its rows go to the store, and to nobody else."""

    def __init__(self, at: PartitionContext) -> None:
        self._partition = at.tp.partition
        self._table = at.table

    def process(self, records: Sequence[Record], position: int) -> None:
        self._table.apply(self._partition, records, position)

    def busy(self) -> bool:
        return False


class PutBack:
    """Puts the waiting records of a join back into its input, in their order: a chore of one partition.

    They come first there. The committed offset of the partition counts, from the begin of its log, how many of them are
    put back; at last it is the end of the partition. Nothing changes there meanwhile, so that another owner goes on at
    the same record.
    """

    def __init__(self, at: PartitionContext, step: str, output: Output, key_of: KeyOf, cursor: Cursor) -> None:
        self.done = False
        self._tp = at.tp
        self._delivery = at.delivery
        self._rows = at.table.at(at.tp.partition)
        self._step = step
        self._output = output
        self._key_of = key_of
        self._skipped = cursor.position - cursor.begin
        self._left: Iterator[tuple[WaitingPlace, PlainRecord]] | None = None
        self._position = cursor.position

    def tick(self, now: float) -> bool:  # noqa: ARG002 - of every chore
        """Put back a slice once the table is read; return whether there is more."""
        if self.done or not self._rows.is_read():
            return self._end() if self.done else False
        if self._left is None:
            found = [read(row) for rows in self._rows.slices() for row in rows]
            self._left = iter(sorted(found, key=lambda each: each[1].offset)[self._skipped :])
        for _ in range(SLICE_RECORDS):
            if (each := next(self._left, None)) is None:
                self.done = True
                self._end()
                return True
            self._put(*each)
        self._delivery.done(self._tp, self._position)
        return True

    def _put(self, place: WaitingPlace, record: PlainRecord) -> None:
        key = self._key_of(record)
        partition = partition_of(key or b"", self._output.partitions)
        waited = f"{place.deadline!r} {self._step}".encode()
        emit(self._delivery, self._output, partition, record, [*record.headers, (WAITED_HEADER, waited)])
        self._position += 1

    def _end(self) -> bool:
        """Commit the end of the partition, which may move: an open transaction may end without records."""
        position = self._rows.position()
        if position > self._position:
            self._position = position
            self._delivery.done(self._tp, position)
        return False


def emit(delivery: Delivery, output: Output, partition: int, record: Record, headers: Headers) -> None:
    """Add a record as it is, with other headers."""
    delivery.emit(output, partition, record.key, record.value, record.timestamp, headers)
