"""Orders that wait for their partner, for one join on one input partition.

They lie in a compacted topic of the service, partitioned like the input, so that they survive the loss of
their worker. What is kept here is an index over that topic's partition and, until it has been read back,
what was just written to it. Release is by level: whenever something may have changed (a row came, the
partition was taken over), the tables are asked again; nothing depends on having seen the moment. Between
the look-up that misses and the insertion here control is never given up.

An event waits under its coordinates, and later records of the same key queue behind it. A row of an owner
topic waits under its key; a later record of that row, or its deletion, takes its place.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from aiokafka.structs import TopicPartition

from agents.declaring.dead_letters import cause_of
from agents.declaring.missing import Wait
from agents.engine.fetching import Seen
from agents.engine.joining import JoinCounts, Joining, References, Rows
from agents.engine.places import Place, Places
from agents.engine.publishing import Delivery, Output
from agents.engine.waiting_orders import Order, read, written
from tables.engine.records import Record


class Partner(Protocol):
    """A table that orders wait for, as far as its end is concerned."""

    def caught_up(self) -> bool: ...

    def ends(self) -> Mapping[int, Seen]:
        """For each partition that matters: its end, and when that was seen."""

    def has_passed(self, ends: Mapping[int, Seen]) -> bool:
        """The applied positions are at or past `ends`."""


class Store(Protocol):
    """The table of waiting orders of this partition."""

    def caught_up(self) -> bool: ...

    def raw(self, key: bytes) -> bytes | None: ...

    def rows(self) -> Iterable[bytes]:
        """All rows, as they were written."""


class WaitingRoom:
    """Admits, releases and expires waiting orders; `tp` is the input partition."""

    def __init__(
        self,
        tp: TopicPartition,
        join: Joining,
        wait: Wait,
        topic: Output,
        store: Store,
        partners: Sequence[Partner],
        delivery: Callable[[], Delivery],
        clock: Callable[[], float],
        *,
        by_row_key: bool,
    ) -> None:
        self._tp = tp
        self._join = join
        self._wait = wait
        self._topic = topic
        self._store = store
        self._partners = partners
        self._delivery = delivery
        self._clock = clock
        self._by_row_key = by_row_key
        self._places = Places()
        self._leaving: Counter[bytes] = Counter()
        self._left: dict[bytes, Place] = {}
        self._deadlines = _Deadlines(partners)
        self.ready = False

    @property
    def topic(self) -> str:
        """The waiting topic."""
        return self._topic.topic

    @property
    def partition(self) -> int:
        return int(self._tp.partition)

    @property
    def empty(self) -> bool:
        return not self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def counts(self) -> JoinCounts:
        return self._join.counts

    def blocks(self, order: Record) -> bool:
        return not self._by_row_key and self._places.queued(order.key, order.offset)

    def supersede(self, order: Record) -> None:
        place = self._places.get(self._id(order)) if self._by_row_key else None
        if place is not None:
            self._leave(place, order.timestamp)

    def admit(self, order: Record, references: References) -> None:
        deadline = self._clock() + self._wait.seconds
        place = Place(self._id(order), order.key, order.offset, deadline, partners=_partners(references))
        if (known := self._places.get(place.id)) is not None and not self._by_row_key:
            if self._is_same(known, order):
                self._try_release(known)
                return
            self._expire(known)
        place.written = written(place, order)
        refusal = self._delivery().refusal(self._topic, place.id, place.written, order.timestamp)
        if refusal is not None:
            self._join.park(order, refusal)
            return
        self._places.add(place)
        self._left.pop(place.id, None)
        self.counts.waited += 1
        self._emit(place.id, place.written, order.timestamp)
        while len(self._places) > self._wait.at_most:
            self._expire(self._places.front())

    def read_back(self, records: Sequence[Record]) -> None:
        """Records of the waiting topic are in the store now, most of them our own; not those that it rejected."""
        for record in records if self.ready else ():
            waiting = record.key or b""
            place = self._places.get(waiting)
            if record.value is None:
                self._gone(waiting, place)
            elif place is not None and place.written == record.value:
                place.written = None
            elif place is None and waiting not in self._leaving:
                self._take_in(record.value)

    def came(self, lookup: int, keys: Iterable[bytes]) -> None:
        """Rows of the table of `lookup` changed, and are in its store."""
        for key in keys if self._places else ():
            for place in self._places.waiting_for((lookup, key)):
                if self._places.get(place.id) is place:
                    self._try_release(place)

    def tick(self, now: float) -> None:
        """Open when all that it needs is there; expire orders whose deadline has passed.

        A deadline counts only once the tables are past the ends that were seen at it: a table that lags
        must not expire orders whose partner exists.
        """
        if not self.ready:
            if self._store.caught_up() and all(partner.caught_up() for partner in self._partners):
                self._open()
        elif self._places:
            due = min(now, self._deadlines.cleared_until())
            for place in self._places.overdue(due):
                if self._places.first(place.key) is place:
                    self._expire(place)

    def _open(self) -> None:
        """The waiting topic has been read to its end: take over what waits, and ask for every partner."""
        found = [read(row) for row in self._store.rows()]
        for place, _ in sorted(found, key=lambda each: each[1].offset):
            self._add_again(place)
        self.ready = True
        for place in self._places:
            if self._places.get(place.id) is place:
                self._try_release(place)

    def _gone(self, waiting: bytes, place: Place | None) -> None:
        """A deletion was read back: our own, or that of a worker that had the partition before."""
        if waiting in self._leaving:
            self._has_left(waiting)
        elif place is not None and place.written is None:
            self._places.remove(place)
            self._let_go(place.key)

    def _take_in(self, row: bytes) -> None:
        """An order that a worker before us let wait, in a record that came late."""
        place, _ = read(row)
        self._add_again(place)
        self._try_release(place)

    def _add_again(self, place: Place) -> None:
        """It waits no longer than is declared now, whatever was declared, or another clock said, when it began."""
        place.deadline = min(place.deadline, self._clock() + self._wait.seconds)
        self._places.add(place)

    def _id(self, order: Record) -> bytes:
        if self._by_row_key and order.key is not None:
            return b64encode(order.key)
        return f"{self._tp.topic}/{self._tp.partition}/{order.offset}".encode()

    def _emit(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        self._delivery().emit(self._topic, self._tp.partition, key, value, timestamp)

    def _order(self, place: Place) -> Order:
        row = place.written or self._store.raw(place.id)
        if row is None:
            message = f"waiting order {place.id.decode()} is not in the store of {self._topic.topic}"
            raise LookupError(message)
        return read(row)[1]

    def _is_same(self, place: Place, order: Record) -> bool:
        """`order` was read again, after a crash; not one of a topic that was deleted and made anew."""
        waiting = self._order(place)
        return (waiting.timestamp, waiting.key, waiting.value) == (order.timestamp, order.key, order.value)

    def _try_release(self, place: Place) -> None:
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

    def _expire(self, place: Place) -> None:
        if (looked := self._look(place)) is not None:
            order, references, rows = looked
            if None in rows:
                self._join.give_up(order, references, rows)
                self.counts.expired += 1
                self._leave(place, order.timestamp)
            else:
                self._release(place, order, rows)
        self._let_go(place.key)

    def _look(self, place: Place) -> tuple[Order, References, Rows] | None:
        """An order with its rows as the tables stand; one that can no longer be read is parked."""
        order = self._order(place)
        try:
            return order, *self._join.partners(order)
        except ValueError as error:
            self._leave(place, order.timestamp)
            self._join.park(order, cause_of(error))
            return None

    def _release(self, place: Place, order: Order, rows: Rows) -> None:
        """Join it, then let it go: where the join's function ends the worker, it still waits."""
        self._join.join(order, rows)
        self.counts.released += 1
        self._leave(place, order.timestamp)

    def _leave(self, place: Place, timestamp: int) -> None:
        """It waits no longer; in the topic it does until what came of it is there, or a crash would lose it."""
        self._places.remove(place)
        self._leaving[place.id] += 1
        self._left[place.id] = place
        self._delivery().touch(self._tp)
        self._delivery().with_outputs(partial(self._delete, place, timestamp))

    def _delete(self, place: Place, timestamp: int) -> None:
        if self._left.get(place.id) is place:
            del self._left[place.id]
            self._emit(place.id, None, timestamp)
        else:
            # A newer record has taken its place in the topic, or is to be deleted later.
            self._has_left(place.id)

    def _has_left(self, waiting: bytes) -> None:
        self._leaving[waiting] -= 1
        if not self._leaving[waiting]:
            del self._leaving[waiting]


class _Deadlines:
    """Until which moment deadlines count: that of a look at the ends which all tables have passed since."""

    def __init__(self, partners: Sequence[Partner]) -> None:
        self._partners = partners
        self._looked: tuple[float, list[Mapping[int, Seen]]] | None = None
        self._cleared_until = 0.0

    def cleared_until(self) -> float:
        now = [partner.ends() for partner in self._partners]
        if self._looked is None or any(map(_fell, self._looked[1], now)):
            moments = [seen.at for each in now for seen in each.values()]
            self._looked = (min(moments, default=0.0), now)
        moment, ends = self._looked
        if all(partner.has_passed(each) for partner, each in zip(self._partners, ends, strict=True)):
            self._cleared_until = max(self._cleared_until, moment)
            self._looked = None
        return self._cleared_until


def _fell(before: Mapping[int, Seen], now: Mapping[int, Seen]) -> bool:
    """The topic was deleted and made anew: the ends that were seen may never be reached again."""
    return any(now[partition].end < seen.end for partition, seen in before.items() if partition in now)


def _partners(references: References) -> tuple[tuple[int, bytes], ...]:
    """All rows that an order needs: any of them may be the one that is missing, or may go again."""
    return tuple((lookup, key) for lookup, key in enumerate(references) if key is not None)
