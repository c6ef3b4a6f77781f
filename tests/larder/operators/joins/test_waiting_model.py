"""The waiting room against a model: orders and customers in any order, read back late, with crashes anywhere.

Each order is joined, given up or still waiting, once and in the order of its key. After a crash at any point this
happens at least once, with transactions still exactly once, and nothing is lost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka.structs import TopicPartition
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.counters.join_quality import JoinQuality
from larder.declaring.compiled.joins import LookedUp, compile_join
from larder.delivery.output import Output
from larder.kafka.batch_consumer import ObservedEnd
from larder.operators.joins.decisions import Decision, GiveUp, WaitForRows
from larder.operators.joins.waiting_records import read
from larder.operators.joins.waiting_room import WaitingRoom
from larder.operators.owned_rows import OwnedRows
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.built import built
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.operators.memory_table import MemoryTable

WAIT_SECONDS = 10.0
AT_MOST = 6
KEYS = st.sampled_from(["k1", "k2", "k3"])
CUSTOMERS = st.sampled_from(["c1", "c2", "c3"])
SELDOM = st.sampled_from([False, False, False, True])


class Customer(Row):
    customer_id: str


class Order(Row):
    key: str
    number: int
    customer_id: str | None


class Joined(Order):
    customer: Customer | None


INPUT = TopicPartition("orders", 0)
WAITING = TopicPartition("s.joined.waiting", 0)
LETTERS = TopicPartition("s.dead-letters", 0)
JOINED = TopicPartition("joined", 0)


class Ended(NamedTuple):
    """The outcome of an order."""

    offset: int
    how: str


class Customers:
    """A table that follows its topic and may lag; rows appear and disappear."""

    def __init__(self) -> None:
        self.log: list[tuple[float, str, bool]] = []
        self.position = 0
        self.rows: dict[bytes, bytes] = {}
        self.now = 0.0

    def publish(self, customer: str, *, there: bool) -> None:
        self.log.append((self.now, customer, there))

    def apply(self) -> bytes:
        _, customer, there = self.log[self.position]
        self.position += 1
        key = customer.encode()
        if there:
            self.rows[key] = msgspec.json.encode(Customer(customer_id=customer))
        else:
            self.rows.pop(key, None)
        return key

    def raw_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def caught_up(self) -> bool:
        return True

    def ends(self) -> Mapping[int, ObservedEnd]:
        return {0: ObservedEnd(len(self.log), self.now)}

    def has_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        return self.position >= ends[0].end

    def has_applied_until(self, moment: float) -> bool:
        """Return whether everything published up to that moment is applied."""
        return all(at > moment for at, _, _ in self.log[self.position :])


class Waiting(RuleBasedStateMachine):
    """Orders are events: each one counts, and waits under its own coordinates."""

    by_row_key = False
    exactly_once = False

    @initialize(settle=st.sampled_from([DeadLetter, PassOn, Drop]))
    def declare(self, settle: Any) -> None:
        service = Service("s")
        source: Any = (OwnerTopic if self.by_row_key else EventTopic)("orders", Order, key="key")
        lookup = service.global_table(OwnerTopic("customers", Customer, key="customer_id")).on("customer_id")
        into = EventTopic("joined", Joined, key="key")
        self.settle_step = settle
        self.compiled = compile_join(
            service.join(source, lookup, into=into, missing=Wait(WAIT_SECONDS, AT_MOST).then(settle))
        )
        self.delivery = MemoryDelivery(exactly_once=self.exactly_once)
        self.customers = Customers()
        self.orders: list[Sent] = []
        self.crashed = False
        self.late: list[tuple[Any, ...]] = []
        self.late_came = False
        self.crowded = False
        self.waiting_since: dict[int, float] = {}
        self.open_room()

    def open_room(self) -> None:
        """Do what a worker does with an assigned input partition."""
        delivery = self.delivery.as_delivery()
        letters = Output(LETTERS.topic, 1, 1 << 20)
        at = context(INPUT, self.delivery, letters, clock=lambda: self.customers.now)
        output = Output(JOINED.topic, 1, 1 << 20)
        quality = JoinQuality(lambda: self.customers.now)
        self.counts = quality.counts
        self.store = MemoryTable(self.delivery.logs[WAITING])
        rows = OwnedRows(self.store.as_view(), Output(WAITING.topic, 1, 1 << 20), delivery, 1)
        wait = self.compiled.join.wait
        assert wait is not None
        room = WaitingRoom(at, wait, rows, [self.customers], by_row_key=self.by_row_key)
        self.joining = built(self.compiled, [self.customers], output, at, quality, room=room)
        assert self.joining.waiting is not None
        self.waiting = self.joining.waiting
        self.position = self.delivery.committed.get(INPUT, 0)
        self.watch()

    def watch(self) -> None:
        """Note when orders began to wait, and check the moment at which they are given up."""
        arrive, give_up = self.waiting.arrive, self.joining.rule.give_up

        def arriving(found: LookedUp, decision: Decision, deadline: float | None) -> Decision:
            self.crowded = True
            decided = arrive(found, decision, deadline)
            self.crowded = False
            if isinstance(decided, WaitForRows):
                self.waiting_since.setdefault(found.record.offset, self.customers.now)
            return decided

        def giving_up(found: LookedUp) -> GiveUp:
            if not self.crowded:
                deadline = self.waiting_since[found.record.offset] + WAIT_SECONDS
                assert self.customers.now >= deadline, f"{found} was given up before its time"
                assert self.customers.has_applied_until(deadline), f"{found} was given up while its table lags"
            return give_up(found)

        self.waiting.arrive = arriving  # type: ignore[method-assign]
        self.joining.rule.give_up = giving_up  # type: ignore[method-assign]

    @rule(key=KEYS, customer=st.none() | CUSTOMERS)
    def an_order_comes(self, key: str, customer: str | None) -> None:
        offset = len(self.orders)
        value = msgspec.json.encode(Order(key=key, number=offset, customer_id=customer))
        self.orders.append(Sent(offset, offset, key.encode(), value, ()))

    @precondition(lambda self: self.waiting.ready and self.position < len(self.orders))
    @rule(count=st.integers(1, 4))
    def orders_are_processed(self, count: int) -> None:
        records = self.orders[self.position : self.position + count]
        self.joining.process(records)
        self.position += len(records)
        self.delivery.done(INPUT, self.position)

    @rule(customer=CUSTOMERS, there=st.sampled_from([True, True, False]))
    def a_customer_is_published(self, customer: str, *, there: bool) -> None:
        self.customers.publish(customer, there=there)

    @precondition(lambda self: self.customers.position < len(self.customers.log))
    @rule()
    def a_customer_is_applied(self) -> None:
        self.waiting.rows_changed(0, [self.customers.apply()])

    @rule(seconds=st.sampled_from([0.1, 3.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.customers.now += seconds
        while self.waiting.tick(self.customers.now):
            pass

    @rule(count=st.integers(1, 5))
    def the_waiting_topic_is_read(self, count: int) -> None:
        self.store.read(count)

    @rule()
    def the_worker_catches_up(self) -> None:
        """Read everything. Otherwise an order would seldom be admitted, since the room opens once all is read."""
        self.the_waiting_topic_is_read(10_000)
        while self.customers.position < len(self.customers.log):
            self.a_customer_is_applied()
        while self.waiting.tick(self.customers.now):
            pass

    @rule()
    def outputs_are_settled(self) -> None:
        self.delivery.settle()

    @rule(does=SELDOM)
    def the_partition_moves(self, *, does: bool) -> None:
        """Settle what is done, then assign the partition again, to this worker or another."""
        if not does:
            return
        self.delivery.finish()
        self.open_room()

    @rule(data=st.data(), does=SELDOM)
    def the_worker_crashes(self, data: st.DataObject, *, does: bool) -> None:
        if not does:
            return
        lost = self.delivery.crash(lambda count: data.draw(st.integers(0, count), "durable"))
        self.late += lost.get(WAITING, ())
        self.crashed = not self.exactly_once
        self.open_room()

    @precondition(lambda self: self.late)
    @rule()
    def a_record_of_a_worker_before_comes_late(self) -> None:
        """Let a paused worker wake up after its orders were assigned to another one."""
        self.delivery.come(WAITING, [self.late.pop(0)])
        self.late_came = True

    @precondition(lambda self: self.delivery.pending.get(WAITING) and not self.exactly_once)
    @rule(customer=CUSTOMERS)
    def another_has_its_orders_before_the_worker_wakes_up(self, customer: str) -> None:
        """Deliver its pending records after the other worker's results for the same orders and a newer one."""
        self.late += self.delivery.crash(lambda _: 0).get(WAITING, ())
        self.crashed = True
        self.open_room()
        self.the_worker_catches_up()
        self.an_order_comes((self.orders[-1].key or b"").decode(), customer)
        self.orders_are_processed(100)
        self.delivery.finish()
        while self.late:
            self.a_record_of_a_worker_before_comes_late()
        self.the_worker_catches_up()

    @invariant()
    def no_more_wait_than_may(self) -> None:
        if hasattr(self, "waiting"):
            assert len(self.waiting) <= max(AT_MOST, len(self.store.found))

    def teardown(self) -> None:
        if not hasattr(self, "waiting"):
            return
        while self.late:
            self.a_record_of_a_worker_before_comes_late()
        self.let_everything_happen()
        if self.late_came:
            # Records that came late to an open room are found when it is opened again.
            self.open_room()
            self.let_everything_happen()
        self.judge()

    def let_everything_happen(self) -> None:
        """Read, process, settle and read back everything, so that nothing is late any more."""
        self.the_waiting_topic_is_read(10_000)
        while self.waiting.tick(self.customers.now):
            pass
        while self.position < len(self.orders):
            self.orders_are_processed(100)
        while self.customers.position < len(self.customers.log):
            self.a_customer_is_applied()
        self.delivery.finish()
        self.the_waiting_topic_is_read(10_000)
        assert not self.delivery.pending, "reading back produced something new"

    def judge(self) -> None:
        ended = self.ended()
        waiting = {msgspec.json.decode(row)["offset"] for row in self.store.found.values()}
        assert len(self.waiting) == len(waiting), "the room and its topic differ"
        everything = Counter(each.offset for each in ended) + Counter(waiting)
        for order in self.orders:
            count = everything[order.offset]
            if self.settle_step is Drop:
                # A drop leaves no trace in any topic.
                assert count <= 1 or self.crashed
            else:
                assert count >= 1, f"order {order} was lost"
                assert count == 1 or self.crashed, f"order {order} ended {count} times"
        self.judge_order(ended)
        self.judge_joins()
        self.judge_waiting()

    def ended(self) -> list[Ended]:
        """Return the outcomes in the order of each topic. There is no order between the two topics."""
        joined = [msgspec.json.decode(record.value or b"") for record in self.delivery.logs[JOINED]]
        dead = [dict(record.headers) for record in self.delivery.logs[LETTERS]]
        return [
            *(Ended(row["number"], "joined" if row["customer"] else "passed on") for row in joined),
            *(Ended(int(headers["larder.offset"]), "dead") for headers in dead),
        ]

    def judge_order(self, ended: list[Ended]) -> None:
        """For each key and topic, outcomes are in the order of the input, and repetitions are in that order too.

        An order that started to wait late may come out again after those behind it.
        """
        if self.late_came:
            return
        by_key: defaultdict[tuple[bytes | None, bool], list[int]] = defaultdict(list)
        for offset, how in ended:
            by_key[self.orders[offset].key, how == "dead"].append(offset)
        for offset in sorted(msgspec.json.decode(row)["offset"] for row in self.store.found.values()):
            for dead in (True, False):
                by_key[self.orders[offset].key, dead].append(offset)
        for offsets in by_key.values():
            last = list(dict.fromkeys(reversed(offsets)))
            if self.by_row_key and self.crashed:
                # A row that waits again after a crash may be replaced before it comes out again.
                assert last[0] == max(last), f"an older row came out last: {offsets}"
            else:
                assert last == sorted(last, reverse=True), f"out of order: {offsets}"
            # A crash may lose one order's dead letter and keep the next one's output. The retry may join the first.
            first = list(dict.fromkeys(offsets))
            assert self.crashed or first == sorted(first), f"out of order: {offsets}"

    def judge_joins(self) -> None:
        for record in self.delivery.logs[JOINED]:
            row = msgspec.json.decode(record.value or b"")
            assert record.key == row["key"].encode()
            order = msgspec.json.decode(self.orders[row["number"]].value or b"")
            assert order == {name: row[name] for name in order}
            assert row["customer"] in (None, {"customer_id": row["customer_id"]})
            assert row["customer"] or self.settle_step is PassOn

    def judge_waiting(self) -> None:
        """No order waits for a row that exists."""
        firsts: dict[bytes | None, dict[str, Any]] = {}
        for _, waiting in sorted(map(read, self.store.found.values()), key=lambda each: each[1].offset):
            firsts.setdefault(waiting.key, msgspec.json.decode(waiting.value or b""))
        for order in firsts.values():
            assert order["customer_id"] is None or order["customer_id"].encode() not in self.customers.rows


class WaitingRows(Waiting):
    """Orders are rows of an owner topic: a later record of a row, or its deletion, replaces a waiting one."""

    by_row_key = True

    @rule(key=KEYS, gone=st.sampled_from([False, False, False, True]))
    def a_row_comes(self, key: str, *, gone: bool) -> None:
        if gone:
            self.orders.append(Sent(len(self.orders), len(self.orders), key.encode(), None, ()))
        else:
            self.an_order_comes(key, "c1")

    def judge(self) -> None:
        ended = self.ended()
        came_out = Counter(each.offset for each in ended)
        waiting = {msgspec.json.decode(row)["offset"] for row in self.store.found.values()}
        last = {order.key: order for order in self.orders}
        assert len(self.waiting) == len(waiting), "the room and its topic differ"
        newest = {order.offset for order in last.values() if order.value is not None}
        assert waiting <= newest or self.late_came, "an older row waits"
        for order in last.values():
            count = came_out[order.offset] + (order.offset in waiting)
            if order.value is None or self.settle_step is not Drop:
                assert count >= 1, f"{order} was lost"
            assert count <= 1 or self.crashed
        self.judge_order(ended)
        self.judge_joins()
        self.judge_waiting()


class WaitingInTransactions(Waiting):
    exactly_once = True


class WaitingRowsInTransactions(WaitingRows):
    exactly_once = True


CONDUCT = settings(max_examples=100, stateful_step_count=50, deadline=None)


class TestEventsThatWait(Waiting.TestCase):
    settings = CONDUCT


class TestRowsThatWait(WaitingRows.TestCase):
    settings = CONDUCT


class TestEventsThatWaitInTransactions(WaitingInTransactions.TestCase):
    settings = CONDUCT


class TestRowsThatWaitInTransactions(WaitingRowsInTransactions.TestCase):
    settings = CONDUCT
