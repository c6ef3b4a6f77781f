"""Calls under any order of commits, crashes, moves and outcomes: none is lost, none is made twice without a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import msgspec
from aiokafka.structs import TopicPartition
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from larder import EventTopic, Retry, Row, Service
from larder.declaring.compiled.calls import CompiledCall, compile_call
from larder.declaring.stored_calls import Beginning, Done, Failed, ResultEvent, encode
from larder.delivery.output import Output
from larder.operators.calls.breaker import Breaker
from larder.operators.calls.calls import OPENED_CALLS, CallStep, OutcomeStep, PartitionCalls
from larder.operators.calls.outside import GRACE_SECONDS, Finished, Outside, Start
from larder.operators.owned_rows import OwnedRows
from larder.types import Attempt
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.operators.memory_table import MemoryTable

TIMEOUT = 10.0
BIG = 1 << 20
CALLS, OUTCOMES, PAID, LETTERS = (Output(f"p.{name}", 1, BIG) for name in ("calls", "outcomes", "paid", "letters"))


class Order(Row):
    order_id: str
    customer: str


class Paid(Row):
    order_id: str


ORDERS = EventTopic("p.orders", Order, key="customer")
PAID_TOPIC = EventTopic("p.paid", Paid, key="order_id")
EVENTS = TopicPartition(ORDERS.name, 0)


def compiled() -> CompiledCall:
    service = Service("p")
    retry = Retry(first=1, most=5, within=10_000, attempts=10_000)

    @service.call(ORDERS, into=PAID_TOPIC, key=lambda order: order.order_id, timeout=TIMEOUT, at_once=4, retry=retry)
    async def charge(_: Order, __: Attempt) -> Paid: ...

    return compile_call(service.calls[0])


def order_of(call: str) -> str:
    return f"o{call.rpartition('/')[2]}"


@dataclass
class Process:
    """One run of a worker's process, as `Outside` runs its calls, but without a loop: the test ends them."""

    world: World
    worker: str
    run: str
    breaker: Breaker = field(default_factory=Breaker)
    running: dict[str, Start] = field(default_factory=dict)
    finished: dict[str, Finished] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    seen: dict[Beginning, float] = field(default_factory=dict)

    def admits(self, now: float) -> bool:
        return len(self.running) + len(self.reserved) < 4 and self.breaker.admits(now)

    def reserve(self, call: str, now: float) -> Beginning:
        self.reserved.add(call)
        return Beginning(self.worker, self.run, now)

    def renew(self) -> None:
        self.reserved.clear()

    def has_begun(self, begun: Beginning) -> bool:
        return (begun.worker, begun.run) == (self.worker, self.run)

    def known_since(self, begun: Beginning, now: float) -> float:
        return self.seen.setdefault(begun, now)

    def start(self, start: Start) -> None:
        self.reserved.discard(start.call.id)
        if start.call.id not in self.running:
            self.running[start.call.id] = start
            self.world.started(start)

    def report(self, call: str) -> None:
        if (found := self.finished.get(call)) is not None:
            if isinstance(found.outcome, Done):
                self.world.note_done(order_of(call))
            self.world.outcomes.append((found.place, encode(found.outcome)))

    def forget(self, call: str) -> None:
        self.finished.pop(call, None)


@dataclass
class Made:
    """An attempt that was made. `excused`: another one may follow, since it failed, or its outcome may be unknown."""

    order: str
    customer: str
    at: float
    excused: bool = False
    done: int | None = None
    """The place of its outcome in the log, if it was done and that is published."""


class World(RuleBasedStateMachine):
    """A partition of orders, two workers that may have it, and a provider."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.delivery = MemoryDelivery(exactly_once=True)
        self.events: list[Sent] = []
        self.outcomes: list[tuple[bytes, bytes]] = []
        self.made: list[Made] = []
        self.runs = 0
        self.processes = {name: self.new_process(name) for name in ("one", "two")}
        self.owner = self.processes["one"]
        self.compiled = compiled()
        self.assign()

    def new_process(self, worker: str) -> Process:
        self.runs += 1
        return Process(self, worker, f"run-{self.runs}")

    def assign(self) -> None:
        """Begin an assignment of the owner, from what is committed."""
        self.owner.renew()
        call = self.compiled.call
        at = context(EVENTS, self.delivery, LETTERS, service="p", operators=[call], clock=lambda: self.now)
        self.table = MemoryTable(self.delivery.logs[TopicPartition(CALLS.topic, 0)])
        self.position = self.delivery.committed.get(EVENTS, 0)
        self.taken = self.delivery.committed.get(TopicPartition(OUTCOMES.topic, 0), 0)
        met = self.met = len(self.outcomes)
        owner = cast("Outside", self.owner)
        rows = OwnedRows(self.table.as_view(), CALLS, self.delivery.as_delivery(), 1)
        self.calls = PartitionCalls(
            at,
            self.compiled,
            rows,
            {PAID.topic: PAID},
            OUTCOMES,
            owner,
            lambda: self.taken >= met,
            lambda _: None,
            "id",
        )
        letters = at.dead_letters()
        self.steps = CallStep(self.calls, letters), OutcomeStep(self.calls, letters)

    def started(self, start: Start) -> None:
        event = start.event
        for each in self.made:
            assert each.done is None or each.order != event.order_id or each.done >= self.met, f"{each} is known"
            if each.customer == event.customer and not each.excused:
                late = self.now >= each.at + TIMEOUT + GRACE_SECONDS
                assert late, f"{event.order_id} begins while {each.order} is under way"
        # The outcome of an earlier attempt counts as soon as it is read: this one then holds up no other order.
        done = any(each.order == event.order_id and each.done is not None for each in self.made)
        self.made.append(Made(event.order_id, event.customer, self.now, excused=done))

    def note_done(self, order: str) -> None:
        for each in self.made:
            if each.order == order:
                each.done, each.excused = len(self.outcomes), True

    def excuse(self, order: str) -> None:
        for each in self.made:
            if each.order == order:
                each.excused = True

    @initialize(customers=st.lists(st.sampled_from("abc"), max_size=2))
    def run_some(self, customers: list[str]) -> None:
        """Begin with calls that run in most examples: chance alone seldom gets so far."""
        for customer in customers:
            self.order(customer)
        for _ in range(3):
            self.go_on()

    @rule(customer=st.sampled_from("abc"))
    def order(self, customer: str) -> None:
        number = len(self.events)
        value = msgspec.json.encode(Order(order_id=f"o{number}", customer=customer))
        self.events.append(Sent(number, 1, customer.encode(), value, ()))

    @rule(count=st.integers(1, 3))
    def take_events(self, count: int) -> None:
        some = self.events[self.position : self.position + count]
        if some and self.calls.ready:
            self.position = some[-1].offset + 1
            self.steps[0].process(some)
            self.delivery.done(EVENTS, self.position)

    @rule(count=st.integers(1, 3))
    def take_outcomes(self, count: int) -> None:
        some = self.outcomes[self.taken : self.taken + count]
        if some and self.calls.ready:
            records = [Sent(self.taken + at, 1, key, value, ()) for at, (key, value) in enumerate(some)]
            self.taken += len(records)
            self.steps[1].process(records)
            self.delivery.done(TopicPartition(OUTCOMES.topic, 0), self.taken)

    @rule()
    def go_on(self) -> None:
        """Do all that a worker does when nothing is in its way."""
        self.read_calls(100)
        self.tick(0.0)
        self.take_events(100)
        self.take_outcomes(100)
        self.delivery.settle()

    @rule(count=st.integers(0, 5))
    def read_calls(self, count: int) -> None:
        self.table.read(count)

    @rule(seconds=st.sampled_from([0.0, 1.0, 6.0, TIMEOUT + GRACE_SECONDS + 1]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(20):
            if not self.calls.tick(self.now):
                break

    @rule(known=st.booleans())
    def settle(self, *, known: bool) -> None:
        self.delivery.settle(known=known)

    @rule(committed=st.booleans())
    def rewind(self, *, committed: bool) -> None:
        """Lose the open unit, or commit it without an answer; then go on from what is committed."""
        self.lose_unit(committed=committed)
        self.assign()

    @rule(committed=st.booleans())
    def move(self, *, committed: bool) -> None:
        self.lose_unit(committed=committed)
        self.owner = self.processes["two" if self.owner.worker == "one" else "one"]
        self.assign()

    @rule(worker=st.sampled_from(["one", "two"]))
    def kill(self, worker: str) -> None:
        """End a process: its calls have an unknown outcome, unless they are published."""
        dead = self.processes[worker]
        for start in dead.running.values():
            self.excuse(start.event.order_id)
        for found in dead.finished.values():
            self.excuse(order_of(found.outcome.id))
        self.processes[worker] = self.new_process(worker)
        if dead is self.owner:
            self.lose_unit(committed=False)
            self.owner = self.processes[worker]
            self.assign()

    def lose_unit(self, *, committed: bool) -> None:
        if committed:
            self.delivery.unit.afterwards.clear()
            self.delivery.settle()
        else:
            self.delivery.crash(lambda n: n)

    @precondition(lambda self: any(each.running for each in self.processes.values()))
    @rule(data=st.data(), well=st.booleans(), outage=st.booleans(), published=st.booleans())
    def end_call(self, data: Any, *, well: bool, outage: bool, published: bool) -> None:
        process = data.draw(st.sampled_from([each for each in self.processes.values() if each.running]))
        start = process.running.pop(data.draw(st.sampled_from(sorted(process.running))))
        call = start.call
        assert call.begun is not None
        if well:
            key = start.event.order_id.encode()
            value = msgspec.json.encode(Paid(order_id=start.event.order_id))
            outcome: Done | Failed = Done(call.id, call.attempt, [ResultEvent(PAID.topic, key, value)])
        else:
            outcome = Failed(call.id, call.attempt, call.begun, self.now, "no", outage=outage)
        if not well:
            self.excuse(start.event.order_id)
        process.finished[call.id] = Finished(outcome, call.place, self.now)
        if published:
            process.report(call.id)

    @invariant()
    def no_result_comes_twice(self) -> None:
        paid = [each.key for each in self.delivery.logs[TopicPartition(PAID.topic, 0)]]
        assert len(paid) == len(set(paid)), paid

    def teardown(self) -> None:
        """Let everything succeed: each order is paid once, those of a customer in their order."""
        for _ in range(60 * (len(self.events) + 1)):
            for process in self.processes.values():
                for call in list(process.running):
                    start = process.running.pop(call)
                    value = msgspec.json.encode(Paid(order_id=start.event.order_id))
                    done = Done(
                        call, start.call.attempt, [ResultEvent(PAID.topic, start.event.order_id.encode(), value)]
                    )
                    process.finished[call] = Finished(done, start.call.place, self.now)
                    process.report(call)
            self.table.read(1_000)
            self.tick(3.0)
            self.take_events(1_000)
            self.take_outcomes(1_000)
            self.delivery.settle()
        paid = [(each.key or b"").decode() for each in self.delivery.logs[TopicPartition(PAID.topic, 0)]]
        assert sorted(paid) == sorted(f"o{number}" for number in range(len(self.events)))
        assert not self.delivery.logs[TopicPartition(LETTERS.topic, 0)]
        customers = {f"o{each.offset}": (each.key or b"").decode() for each in self.events}
        for customer in set(customers.values()):
            of_customer = [int(each[1:]) for each in paid if customers[each] == customer]
            assert of_customer == sorted(of_customer)
        super().teardown()


World.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_calls = World.TestCase


def settled_world(events: int = 1) -> World:
    """Return a world in which a worker has begun so many calls, of one customer each."""
    world = World()
    for number in range(events):
        world.order("abc"[number])
    world.go_on()
    world.go_on()
    return world


def test_a_result_for_a_topic_that_is_not_declared_any_more_is_a_dead_letter() -> None:
    world = settled_world()
    (start,) = world.owner.running.values()
    done = Done(start.call.id, 1, [ResultEvent("p.renamed", b"k", b"{}")])
    world.outcomes.append((start.call.place, encode(done)))
    world.go_on()
    (letter,) = world.delivery.logs[TopicPartition(LETTERS.topic, 0)]
    assert b"p.renamed, which is not in `into` any more" in (dict(letter.headers)["larder.cause"] or b"")
    assert not world.delivery.logs[TopicPartition(PAID.topic, 0)]


def test_the_next_call_of_a_key_begins_once_any_attempt_is_done() -> None:
    """An outcome that is read after the worker took it for unknown ends the call, whatever its second attempt does."""
    world = World()
    world.run_some(["a", "a"])
    (first,) = world.owner.running.values()
    world.move(committed=False)
    world.tick(TIMEOUT + GRACE_SECONDS + 1)
    world.note_done("o0")
    done = Done(first.call.id, 1, [ResultEvent(PAID.topic, b"o0", b'{"order_id":"o0"}')])
    world.outcomes.append((first.call.place, encode(done)))
    world.go_on()
    world.go_on()
    assert [each.order for each in world.made] == ["o0", "o0", "o1"]
    world.no_result_comes_twice()


def test_many_stored_calls_are_opened_a_slice_at_a_time_in_their_order() -> None:
    world, count = World(), 3 * OPENED_CALLS
    for number in range(count):
        world.order(f"c{number}")
    world.go_on()
    world.take_events(count)
    world.delivery.settle()
    world.move(committed=True)
    world.read_calls(2 * count)
    opened = [0]
    while not world.calls.ready:
        assert world.calls.tick(world.now)
        opened.append(len(world.calls))
    assert (opened[-1], max(after - before for before, after in pairwise(opened))) == (count, OPENED_CALLS)
    assert world.calls.turns.oldest() == "id/0/0"


def test_a_call_whose_earlier_attempt_still_runs_does_not_begin() -> None:
    world = settled_world()
    (start,) = world.owner.running.values()
    assert start.call.begun is not None
    failed = Failed(start.call.id, 1, start.call.begun, world.now, "no result in time", outage=True)
    world.outcomes.append((start.call.place, encode(failed)))
    world.go_on()
    world.tick(60.0)
    world.delivery.settle()
    assert (len(world.made), len(world.calls)) == (1, 1)
    world.owner.running.clear()
    world.excuse("o0")
    world.read_calls(100)
    world.tick(60.0)
    world.delivery.settle()
    assert len(world.made) == 2
