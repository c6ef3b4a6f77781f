"""Keeps the records of one join on one input partition that wait for a row; knows nothing of the join.

They are rows of an owned table, partitioned like the input, so that they survive the loss of their worker; what is kept
here is an index over them.

An event waits under its coordinates, and later records of the same key queue behind it. A row of an owner topic waits
under its key and its offset; a later record of that row, or its deletion, replaces it. At least once, a worker that had
the partition before may still write there: it gives each record the same name, so it can only let go what was let go
anyway, and never what came later.
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
    """Records that wait; `at` is their input partition, `rows` has them, `tables` those of the rows they wait for."""

    def __init__(
        self,
        at: PartitionContext,
        wait: Wait,
        rows: OwnedRows,
        tables: Sequence[PartnerTable],
        *,
        by_row_key: bool,
    ) -> None:
        """`by_row_key`: the records are rows of an owner topic."""
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
        """Enough is on its way to the waiting topic and back."""
        return self._rows.full()

    def overfull(self) -> bool:
        """More records wait than may."""
        return len(self.places) > self._wait.at_most

    def blocks(self, record: Record) -> bool:
        """An earlier record of its key waits, so that `record` has to queue behind it."""
        return not self._by_row_key and self.places.queued(record.key, record.offset)

    def replaces(self, record: Record) -> bool:
        """An earlier record of its row waits, which `record` would replace."""
        if not self._by_row_key or record.key is None or (place := self.places.first(record.key)) is None:
            return False
        return place.offset != record.offset and _came_before(place, record)

    def supersede(self, record: Record) -> None:
        """Let earlier records of its row go: `record` replaces them."""
        if not self._by_row_key or record.key is None:
            return
        while (place := self.places.first(record.key)) is not None and _came_before(place, record):
            self.leave(place, record.timestamp)

    def known(self, record: Record) -> WaitingPlace | None:
        """Who waits under the name of `record`: itself, or one of a topic that was deleted and created again."""
        return self.places.get(self._id(record))

    def holds(self, place: WaitingPlace, record: Record) -> bool:
        """`record`, which is read again after a crash, is the one that waits in `place`."""
        row = self._rows.raw(place.id)
        if row is None:
            return False
        _, waiting = read(row)
        return (waiting.timestamp, waiting.key, waiting.value) == (record.timestamp, record.key, record.value)

    def admit(self, record: Record, partners: Sequence[Partner]) -> None:
        """Keep a record whose name is free; ValueError if its topic cannot take it."""
        deadline = self._clock() + self._wait.seconds
        place = WaitingPlace(self._id(record), record.key, record.offset, record.timestamp, deadline, tuple(partners))
        waiting = Written(place.id, written(place, record), None)
        headers = self._rows.headers(waiting)
        self._delivery.check(self._rows.output, place.id, waiting.value, record.timestamp, headers)
        self.places.add(place)
        self._left.pop(place.id, None)
        self._rows.write(waiting, record.timestamp)

    def record(self, place: WaitingPlace) -> PlainRecord | None:
        """The record that waits in `place`; None, and the place is free, if a worker before let it go, late."""
        row = self._rows.raw(place.id)
        if row is None:
            self.places.remove(place)
            return None
        return read(row)[1]

    def leave(self, place: WaitingPlace, timestamp: int) -> None:
        """Let a record go. In the topic it waits until what came of it is there: a crash would lose it."""
        self.places.remove(place)
        self._left[place.id] = place
        self._delivery.touch(self._tp)
        self._delivery.with_outputs(partial(self._delete, place, timestamp))

    def overdue(self, now: float) -> Sequence[WaitingPlace]:
        """Those whose deadline has passed, and counts."""
        self._rows.forget_stored()
        return self.places.overdue(min(now, self._deadlines.cleared_until())) if self.places else ()

    def open(self) -> bool:
        """Take over what waits in the topic, a slice at a time, once all that it needs is there.

        Gives whether there is more to do at once. It is ready when all is taken over.
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
        """Records wait no longer than is declared now, whatever was declared when they began, or another clock said."""
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
        """Delete a record that has left, unless another one has its name by now, or will be deleted later."""
        if self._left.get(place.id) is place:
            del self._left[place.id]
            self._rows.write(Written(place.id, None, None), timestamp)


def _came_before(place: WaitingPlace, record: Record) -> bool:
    """`record` is a later record of what waits, or itself; not an earlier one that is read again, after a crash.

    In a topic that was deleted and created again, offsets begin again.
    """
    return place.offset <= record.offset or place.timestamp < record.timestamp
