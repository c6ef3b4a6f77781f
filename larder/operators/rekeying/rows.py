"""Passes rows to the partition to which the value of one of their fields belongs, and moves them when it changes.

A deletion has no fields, and a row may get another value. So an owned table, partitioned like the input, keeps the
place of each row by row key. The message key stays the row's key. If a row leaves a partition, a deletion is published
there, or a record that says it has moved, which is not a deletion. Only rows newer than the last one are passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.problems import LarderError
from larder.declaring.records import Record
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic
from larder.delivery.headers import AFTER_HEADER, MOVED_HEADER, WAS_HEADER
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.kafka.partitioner import partition_of
from larder.operators.context import PartitionContext
from larder.operators.owned_rows import OwnedRows, Written
from larder.store.applying.deletions import REVISION_HEADER, declared_revision


class RowPlace(Row):
    """The place of a row: the key by which it is partitioned, and the revision with which it came there."""

    key: bytes
    by: bytes
    revision: int


def keys_topic(name: str, partitions: int) -> OwnerTopic:
    """Return the table of the rows' places."""
    return OwnerTopic(name, RowPlace, key="key", key_type=bytes, partitions=partitions)


class NullFieldError(LarderError, ValueError):
    """A row has null in the field by which it is partitioned."""

    def __init__(self) -> None:
        super().__init__("the field that it is partitioned by is null: the row belongs to no partition")


class RekeyRowsStep:
    """Rekeys the rows of one input partition; `read` returns the key to partition by, and the revision."""

    def __init__(
        self,
        read: Callable[[bytes], tuple[bytes | None, int]],
        places: OwnedRows,
        output: Output,
        at: PartitionContext,
        counts: RekeyCounts,
        *,
        drops: bool = False,
    ) -> None:
        """`drops`: a row with null in the field is left out instead of dead-lettered."""
        self._read = read
        self._places = places
        self._output = output
        self._delivery = at.delivery
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()
        self._counts = counts
        self._drops = drops

    def busy(self) -> bool:
        return self._places.full()

    def process(self, records: Sequence[Record]) -> None:
        self._dead_letters.handle_each(records, self._rekey)

    def _rekey(self, record: Record) -> None:
        if record.key is None:
            message = "a row requires a message key; found null"
            raise ValueError(message)
        if record.value is None:
            self._delete(record, record.key)
        else:
            self._send(record, record.key, record.value)

    def _send(self, record: Record, key: bytes, value: bytes) -> None:
        by, revision = self._read(value)
        before = self._place(key)
        if before is not None and revision <= before.revision:
            return
        if by is None:
            # It no longer belongs to any partition, so its earlier results are deleted.
            self._delete(record, key)
            if not self._drops:
                raise NullFieldError
            self._counts.dropped += 1
            return
        headers = self._carried.passed_on(record)
        self._delivery.check(self._output, key, value, record.timestamp, headers)
        if before is not None and self._partition(before.by) != self._partition(by):
            self._leave(record, key, before, [(MOVED_HEADER, b"")])
        self._emit(by, key, value, record, headers)
        self._write(key, RowPlace(key=key, by=by, revision=revision), record)

    def _delete(self, record: Record, key: bytes) -> None:
        revision, before = declared_revision(record), self._place(key)
        if before is None or (revision is not None and revision <= before.revision):
            return
        self._leave(record, key, before, [] if revision is None else [(REVISION_HEADER, b"%d" % revision)])
        self._write(key, None, record)

    def _leave(self, record: Record, key: bytes, before: RowPlace, headers: Headers) -> None:
        after, was = (AFTER_HEADER, b"%d" % before.revision), (WAS_HEADER, before.by)
        self._emit(before.by, key, None, record, [*headers, after, was], self._carried.of(record))

    def _place(self, key: bytes) -> RowPlace | None:
        raw = self._places.raw(key)
        return None if raw is None else msgspec.json.decode(raw, type=RowPlace)

    def _partition(self, by: bytes) -> int:
        return partition_of(by, self._output.partitions)

    def _emit(
        self,
        by: bytes,
        key: bytes,
        value: bytes | None,
        record: Record,
        headers: Headers,
        carried: Headers = NO_HEADERS,
    ) -> None:
        self._delivery.emit(self._output, self._partition(by), key, value, record.timestamp, headers, carried)

    def _write(self, key: bytes, place: RowPlace | None, record: Record) -> None:
        value = None if place is None else msgspec.json.encode(place)
        self._places.write(Written(key, value, None), record.timestamp)
