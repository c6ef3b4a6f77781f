"""Keeps the records of one join on one input partition that wait for a row. Knows nothing about the join.

They are rows of an owned table, partitioned like the input, so that they survive the loss of their worker. This module
keeps an index over them.

An event waits under its coordinates, and later records of the same key queue behind it. A row of an owner topic waits
under its key and its offset; a later record of that row, or its deletion, replaces it. With at least once, a previous
owner of the partition may still write there. It gives each record the same id, so it can only delete records that it
has released, and never later ones.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import partial

from larder.declaring.missing import Wait
from larder.declaring.records import PlainRecord, Record
from larder.operators.context import PartitionContext
from larder.operators.joins.deadlines import Deadlines, PartnerTable
from larder.operators.joins.waiting_index import Partner, Places, WaitingPlace
from larder.operators.joins.waiting_records import read, written
from larder.operators.owned_rows import OwnedRows, Written


class WaitingRoom:
    """The waiting records of the input partition `at`; `rows` stores them, `tables` have the rows they need."""

    def __init__(
        self,
        at: PartitionContext,
        wait: Wait,
        rows: OwnedRows,
        tables: Sequence[PartnerTable],
        *,
        by_row_key: bool,
    ) -> None:
        """`by_row_key`: the records are rows of an owner topic, which replace each other."""
        self.places = Places()
        self.ready = False
        self._tp = at.tp
        self._wait = wait
        self._rows = rows
        self._tables = tables
        self._delivery = at.delivery
        self._clock = at.clock
        self._by_row_key = by_row_key
        self._left: dict[bytes, WaitingPlace] = {}
        self._slices: Iterator[Sequence[bytes]] | None = None
        self._found: list[tuple[WaitingPlace, PlainRecord]] = []
        self._deadlines = Deadlines(tables)

    @property
    def topic(self) -> str:
        """The waiting topic."""
        return self._rows.output.topic

    def full(self) -> bool:
        """Return whether too many records are on their way to the waiting topic and back."""
        return self._rows.full()

    def overfull(self) -> bool:
        """Return whether more records wait than are allowed."""
        return len(self.places) > self._wait.at_most

    def blocks(self, record: Record) -> bool:
        """Return whether an earlier record of its key waits, so that `record` must queue behind it."""
        return not self._by_row_key and self.places.queued(record.key, record.offset)

    def replaces(self, record: Record) -> bool:
        """Return whether an earlier record of its row waits, which `record` would replace."""
        if not self._by_row_key or record.key is None or (place := self.places.first(record.key)) is None:
            return False
        return place.offset != record.offset and _came_before(place, record)

    def supersede(self, record: Record) -> None:
        """Remove earlier records of its row, which `record` replaces."""
        if not self._by_row_key or record.key is None:
            return
        while (place := self.places.first(record.key)) is not None and _came_before(place, record):
            self.leave(place, record.timestamp)

    def known(self, record: Record) -> WaitingPlace | None:
        """Return the place with the id of `record`: its own, or an older one if the topic was recreated."""
        return self.places.get(self._id(record))

    def holds(self, place: WaitingPlace, record: Record) -> bool:
        """Return whether `record`, read again after a crash, is the one that waits in `place`."""
        row = self._rows.raw(place.id)
        if row is None:
            return False
        _, waiting = read(row)
        return (waiting.timestamp, waiting.key, waiting.value) == (record.timestamp, record.key, record.value)

    def admit(self, record: Record, partners: Sequence[Partner], until: float | None = None) -> None:
        """Keep a record whose id is free; raise ValueError if the waiting topic cannot take it.

        `until` is the deadline of a record that has waited before. None waits longer than declared now.
        """
        latest = self._clock() + self._wait.seconds
        deadline = latest if until is None else min(until, latest)
        place = WaitingPlace(self._id(record), record.key, record.offset, record.timestamp, deadline, tuple(partners))
        waiting = Written(place.id, written(place, record), None)
        headers = self._rows.headers(waiting)
        self._delivery.check(self._rows.output, place.id, waiting.value, record.timestamp, headers)
        self.places.add(place)
        self._left.pop(place.id, None)
        self._rows.write(waiting, record.timestamp)

    def record(self, place: WaitingPlace) -> PlainRecord | None:
        """Return the record in `place`; if a previous owner released it late, free the place and return None."""
        row = self._rows.raw(place.id)
        if row is None:
            self.places.remove(place)
            return None
        return read(row)[1]

    def leave(self, place: WaitingPlace, timestamp: int) -> None:
        """Remove a record. It stays in the topic until its outcome is published; otherwise a crash would lose it."""
        self.places.remove(place)
        self._left[place.id] = place
        self._delivery.touch(self._tp)
        self._delivery.with_outputs(partial(self._delete, place, timestamp))

    def overdue(self, now: float) -> Sequence[WaitingPlace]:
        """Return the places whose deadline has passed and applies."""
        self._rows.forget_stored()
        return self.places.overdue(min(now, self._deadlines.cleared_until())) if self.places else ()

    def open(self) -> bool:
        """Take over the records in the topic, a slice at a time, once all tables are caught up.

        Return whether there is more to do at once. The room is ready when all are taken over.
        """
        if not (self._rows.caught_up() and all(table.caught_up() for table in self._tables)):
            return False
        self._slices = self._slices or self._rows.slices()
        if (rows := next(self._slices, None)) is not None:
            self._found += map(read, rows)
            return True
        self._take_over()
        self.ready = True
        return False

    def _take_over(self) -> None:
        """Add the records. None waits longer than declared now, whatever was declared earlier, or by another clock."""
        latest = self._clock() + self._wait.seconds
        found, self._found = self._found, []
        for place, record in sorted(found, key=lambda each: each[1].offset):
            place.deadline = min(place.deadline, latest)
            self.supersede(record)
            self.places.add(place)

    def _id(self, record: Record) -> bytes:
        if self._by_row_key and record.key is not None:
            return b"%b/%d" % (b64encode(record.key), record.offset)
        return f"{self._tp.topic}/{self._tp.partition}/{record.offset}".encode()

    def _delete(self, place: WaitingPlace, timestamp: int) -> None:
        """Delete a removed record from the topic, unless another record has taken its id."""
        if self._left.get(place.id) is place:
            del self._left[place.id]
            self._rows.write(Written(place.id, None, None), timestamp)


def _came_before(place: WaitingPlace, record: Record) -> bool:
    """Return whether `record` is the one in `place` or a later one, not an earlier one read again after a crash.

    In a recreated topic, offsets start again.
    """
    return place.offset <= record.offset or place.timestamp < record.timestamp
