"""Orders that wait for their partner, for one join on one input partition.

They are rows of an owned table, partitioned like the input, so that they survive the loss of their worker;
what is kept here is an index over them. Release is by level: whenever something may have changed (a row
came, the partition was taken over), the tables are asked again; nothing depends on having seen the moment.
Between the look-up that misses and the insertion here control is never given up.

An event waits under its coordinates, and later records of the same key queue behind it. A row of an owner
topic waits under its key and its offset; a later record of that row, or its deletion, takes its place.
At least once a worker that had the partition before may write there still: it knows each record by the same
name, so that it can let go what was let go anyway, and never what came later.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from aiokafka.structs import TopicPartition

from larder.counters.join_quality import JoinCounts
from larder.declaring.dead_letters import cause_of
from larder.declaring.missing import Wait
from larder.declaring.records import Record
from larder.delivery.delivery import Delivery
from larder.operators.joins.deadlines import Deadlines, Partner
from larder.operators.joins.join import Joining, References, Rows
from larder.operators.joins.waiting_index import Places, WaitingPlace
from larder.operators.joins.waiting_records import Order, read, written
from larder.operators.owned_rows import OwnedRows, Written


class WaitingRoom:
    """Admits, releases and expires waiting orders; `tp` is the input partition, `rows` has those that wait."""

    def __init__(
        self,
        tp: TopicPartition,
        join: Joining,
        wait: Wait,
        rows: OwnedRows,
        partners: Sequence[Partner],
        delivery: Delivery,
        clock: Callable[[], float],
        *,
        by_row_key: bool,
    ) -> None:
        self._tp = tp
        self._join = join
        self._wait = wait
        self._rows = rows
        self._partners = partners
        self._delivery = delivery
        self._clock = clock
        self._by_row_key = by_row_key
        self._places = Places()
        self._left: dict[bytes, WaitingPlace] = {}
        self._slices: Iterator[Sequence[bytes]] | None = None
        self._found: list[tuple[WaitingPlace, Order]] = []
        self._deadlines = Deadlines(partners)
        self.ready = False

    @property
    def topic(self) -> str:
        """The waiting topic."""
        return self._rows.output.topic

    @property
    def empty(self) -> bool:
        return not self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def counts(self) -> JoinCounts:
        return self._join.counts

    def full(self) -> bool:
        """Enough is on its way to the waiting topic and back."""
        return self._rows.full()

    def blocks(self, order: Record) -> bool:
        return not self._by_row_key and self._places.queued(order.key, order.offset)

    def replaces(self, order: Record) -> bool:
        """It would replace an earlier record of its row."""
        if not self._by_row_key or order.key is None or (place := self._places.first(order.key)) is None:
            return False
        return place.offset != order.offset and _came_before(place, order)

    def supersede(self, order: Record) -> None:
        if not self._by_row_key or order.key is None:
            return
        while (place := self._places.first(order.key)) is not None and _came_before(place, order):
            self._leave(place, order.timestamp)

    def admit(self, order: Record, references: References) -> None:
        deadline = self._clock() + self._wait.seconds
        place = WaitingPlace(self._id(order), order.key, order.offset, order.timestamp, deadline, _partners(references))
        self.supersede(order)
        if (known := self._places.get(place.id)) is not None:
            if self._is_same(known, order):
                self._try_release(known)
                return
            self._expire(known)
        row = written(place, order)
        waiting = Written(place.id, row, None)
        headers = self._rows.headers(waiting)
        refusal = self._delivery.refusal(self._rows.output, place.id, row, order.timestamp, headers)
        if refusal is not None:
            self._join.park(order, refusal)
            return
        self._places.add(place)
        self._left.pop(place.id, None)
        self.counts.waited += 1
        self._rows.write(waiting, order.timestamp)
        while len(self._places) > self._wait.at_most:
            self._expire(self._places.front())

    def came(self, lookup: int, keys: Iterable[bytes]) -> None:
        """Rows of the table of `lookup` changed, and are in its store."""
        for key in keys if self._places else ():
            for place in self._places.waiting_for((lookup, key)):
                if self._places.get(place.id) is place:
                    self._try_release(place)

    def tick(self, now: float) -> bool:
        """Open when all that it needs is there; expire orders whose deadline has passed, and counts.

        Gives whether there is more to do at once.
        """
        if not self.ready:
            return self._rows.caught_up() and all(partner.caught_up() for partner in self._partners) and self._open()
        self._rows.forget_stored()
        if self._places:
            due = min(now, self._deadlines.cleared_until())
            for place in self._places.overdue(due):
                if self._places.first(place.key) is place:
                    self._expire(place)
        return False

    def _open(self) -> bool:
        """The waiting topic has been read to its end: take over what waits, and ask for every partner.

        A slice is read at a time; gives whether there is more.

        It waits no longer than is declared now, whatever was declared, or another clock said, when it began.
        """
        self._slices = self._slices or self._rows.slices()
        if (rows := next(self._slices, None)) is not None:
            self._found += map(read, rows)
            return True
        latest = self._clock() + self._wait.seconds
        found, self._found = self._found, []
        for place, order in sorted(found, key=lambda each: each[1].offset):
            place.deadline = min(place.deadline, latest)
            self.supersede(order)
            self._places.add(place)
        self.ready = True
        for place in self._places:
            if self._places.get(place.id) is place:
                self._try_release(place)
        return False

    def _id(self, order: Record) -> bytes:
        if self._by_row_key and order.key is not None:
            return b"%b/%d" % (b64encode(order.key), order.offset)
        return f"{self._tp.topic}/{self._tp.partition}/{order.offset}".encode()

    def _is_same(self, place: WaitingPlace, order: Record) -> bool:
        """`order` was read again, after a crash; not one of a topic that was deleted and made anew."""
        row = self._rows.raw(place.id)
        if row is None:
            return False
        waiting = read(row)[1]
        return (waiting.timestamp, waiting.key, waiting.value) == (order.timestamp, order.key, order.value)

    def _try_release(self, place: WaitingPlace) -> None:
        """Let an order go if it is the first of its key and all its rows are there; then those behind it."""
        if self._places.first(place.key) is place:
            self._let_go(place.key)

    def _let_go(self, key: bytes | None) -> None:
        """Let the orders of a key go, in their order, until one has to wait on."""
        while (place := self._places.first(key)) is not None:
            if (looked := self._look(place)) is not None:
                order, references, rows = looked
                if None in rows:
                    self._places.wait_for(place, _partners(references))
                    return
                self._release(place, order, rows)

    def _expire(self, place: WaitingPlace) -> None:
        if (looked := self._look(place)) is not None:
            order, references, rows = looked
            if None in rows:
                self._join.quality.expires(order, references, rows)
                self._join.give_up(order, references, rows)
                self._leave(place, order.timestamp)
            else:
                self._release(place, order, rows)
        self._let_go(place.key)

    def _look(self, place: WaitingPlace) -> tuple[Order, References, Rows] | None:
        """An order with its rows as the tables stand; one that can no longer be read is parked."""
        row = self._rows.raw(place.id)
        if row is None:
            # Let go, late, by a worker that had the partition before.
            self._places.remove(place)
            return None
        _, order = read(row)
        try:
            return order, *self._join.partners(order)
        except ValueError as error:
            self._leave(place, order.timestamp)
            self._join.park(order, cause_of(error))
            return None

    def _release(self, place: WaitingPlace, order: Order, rows: Rows) -> None:
        """Join it, then let it go: where the join's function ends the worker, it still waits."""
        self._join.join(order, rows)
        self.counts.released += 1
        self._leave(place, order.timestamp)

    def _leave(self, place: WaitingPlace, timestamp: int) -> None:
        """It waits no longer; in the topic it does until what came of it is there, or a crash would lose it."""
        self._places.remove(place)
        self._left[place.id] = place
        self._delivery.touch(self._tp)
        self._delivery.with_outputs(partial(self._delete, place, timestamp))

    def _delete(self, place: WaitingPlace, timestamp: int) -> None:
        """Delete it, if nothing was written in its place since, which is there, or is to be deleted later."""
        if self._left.get(place.id) is place:
            del self._left[place.id]
            self._rows.write(Written(place.id, None, None), timestamp)


def _came_before(place: WaitingPlace, order: Record) -> bool:
    """`order` is a later record of what waits, or itself; not an earlier one that is read again, after a crash.

    In a topic that was deleted and made anew, offsets begin again.
    """
    return place.offset <= order.offset or place.timestamp < order.timestamp


def _partners(references: References) -> tuple[tuple[int, bytes], ...]:
    """All rows that an order needs: any of them may be the one that is missing, or may go again."""
    return tuple((lookup, key) for lookup, key in enumerate(references) if key is not None)
