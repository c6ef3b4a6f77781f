"""Waiting records, case by case; `test_waiting_model` has the properties that hold in any order of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka.structs import TopicPartition

from larder import DeadLetter, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.counters.join_quality import JoinQuality
from larder.declaring.compiled.joins import compile_join
from larder.delivery.output import Output
from larder.kafka.batch_consumer import ObservedEnd
from larder.operators import owned_rows
from larder.operators.joins.waiting import Waiting
from larder.operators.joins.waiting_records import read, written
from larder.operators.joins.waiting_room import WaitingRoom
from larder.operators.owned_rows import OwnedRows
from larder.operators.user_code import ExitedError
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.built import built
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.operators.memory_table import MemoryTable

INPUT = TopicPartition("orders", 0)
WAITING = TopicPartition("s.joined.waiting", 0)
JOINED = TopicPartition("joined", 0)
LETTERS = TopicPartition("s.dead-letters", 0)
WAITS = Output(WAITING.topic, 1, 1 << 20)


class Customer(Row):
    customer_id: str


class Product(Row):
    product_id: str


class Order(Row):
    order_id: str
    customer_id: str
    product_id: str


class Joined(Order):
    customer: Customer | None
    product: Product | None


class Rows(dict[bytes, bytes]):
    """The rows of a table, and its position."""

    position = end = 0
    seen_at = 0.0

    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def caught_up(self) -> bool:
        return True

    def ends(self) -> dict[int, ObservedEnd]:
        return {0: ObservedEnd(self.end, self.seen_at)}

    def has_passed(self, ends: dict[int, ObservedEnd]) -> bool:
        return self.position >= ends[0].end


class Stage:
    """A room with two tables; `settle` is the step after the wait."""

    def __init__(
        self, settle: Any = DeadLetter, seconds: float = 10, at_most: int = 100_000, largest: int = 1 << 20,
        *, by_row_key: bool = False,
    ) -> None:  # fmt: skip
        source: Any = OwnerTopic if by_row_key else EventTopic
        service = Service("s")
        customers = service.global_table(OwnerTopic("customers", Customer, key="customer_id"))
        products = service.global_table(OwnerTopic("products", Product, key="product_id"))
        lookups = [customers.on("customer_id"), products.on("product_id")]
        into = EventTopic("joined", Joined, key="order_id")
        self.compiled = compile_join(
            service.join(
                source("orders", Order, key="order_id"), lookups, into=into,
                missing=Wait(seconds, at_most).then(settle),
            )
        )  # fmt: skip
        self.largest = largest
        self.by_row_key = by_row_key
        self.delivery = MemoryDelivery()
        self.customers, self.products = Rows(), Rows()
        self.now = 100.0
        self.waiting = self.opened()

    def opened(self, seconds: float | None = None) -> Waiting:
        """Return the room after it has taken over the records in its topic."""
        declared = self.compiled.join.wait
        assert declared is not None
        letters = Output(LETTERS.topic, 1, 1 << 20)
        at = context(INPUT, self.delivery, letters, clock=lambda: self.now)
        wait = declared if seconds is None else Wait(seconds, declared.at_most)
        room = WaitingRoom(at, wait, self.rows(), [self.customers, self.products], by_row_key=self.by_row_key)
        self.joining = built(
            self.compiled, [self.customers, self.products], Output(JOINED.topic, 1, 1 << 20),
            at, JoinQuality(lambda: self.now), room=room,
        )  # fmt: skip
        assert self.joining.waiting is not None
        self.waiting = self.joining.waiting
        self.read_back()
        while self.waiting.tick(self.now):
            pass
        return self.waiting

    def rows(self) -> OwnedRows:
        """The rows of the waiting topic, before any of it has been read."""
        self.store = MemoryTable(self.delivery.logs[WAITING])
        return OwnedRows(
            self.store.as_view(), Output(WAITING.topic, 1, self.largest), self.delivery.as_delivery(), 1
        )  # fmt: skip

    def read_back(self) -> None:
        self.store.read(1 << 20)

    def settle_and_read_back(self) -> None:
        self.delivery.finish()
        self.read_back()
        while self.waiting.tick(self.now):
            pass

    def spoil(self, old: bytes, new: bytes) -> None:
        """Replace the waiting orders in the topic by others."""
        for record in list(self.settled(WAITING)):
            place, order = read(record.value or b"")
            spoilt = order._replace(value=(order.value or b"").replace(old, new))
            self.delivery.emit(WAITS, 0, record.key, written(place, spoilt), 0)
        self.delivery.finish()

    def order(self, offset: int, key: str = "k", customer: str = "c1", product: str = "p1") -> Sent:
        value = msgspec.json.encode(Order(order_id=key, customer_id=customer, product_id=product))
        return Sent(offset, 0, key.encode(), value, ())

    def come(self, table: Rows, key: str, row: Row) -> None:
        table[key.encode()] = msgspec.json.encode(row)
        self.waiting.rows_changed(0 if table is self.customers else 1, [key.encode()])

    def settled(self, tp: TopicPartition) -> list[Sent]:
        self.delivery.finish()
        return self.delivery.logs[tp]

    def causes(self) -> list[str]:
        return [dict(letter.headers)["larder.cause"].decode() for letter in self.settled(LETTERS)]

    def time_passes(self, seconds: float) -> None:
        """Read the tables' ends, as happens all the time."""
        self.now += seconds
        for table in (self.customers, self.products):
            table.seen_at = self.now
        while self.waiting.tick(self.now):
            pass


@pytest.fixture
def stage() -> Stage:
    return Stage()


ADA, INK = Customer(customer_id="c1"), Product(product_id="p1")


def test_thousands_of_records_of_one_key_are_released_in_order_when_their_partner_comes(stage: Stage) -> None:
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.joining.process([stage.order(offset) for offset in range(3_000)])
    assert len(stage.waiting) == 3_000
    stage.come(stage.customers, "c1", ADA)
    assert len(stage.waiting) == 0
    assert len(stage.settled(JOINED)) == 3_000


def test_a_record_with_two_partners_is_released_once_both_exist(stage: Stage) -> None:
    stage.joining.process([stage.order(0)])
    stage.come(stage.products, "p1", INK)
    assert len(stage.waiting) == 1
    del stage.products[b"p1"]
    stage.waiting.rows_changed(1, [b"p1"])
    stage.come(stage.customers, "c1", ADA)
    assert len(stage.waiting) == 1
    stage.come(stage.products, "p1", INK)
    (joined,) = stage.settled(JOINED)
    assert msgspec.json.decode(joined.value or b"")["product"] == {"product_id": "p1"}


def test_a_released_record_is_deleted_after_its_result_is_acknowledged(stage: Stage) -> None:
    stage.joining.process([stage.order(0)])
    stage.delivery.settle()
    stage.come(stage.products, "p1", INK)
    stage.come(stage.customers, "c1", ADA)
    assert WAITING not in stage.delivery.pending
    stage.delivery.settle()
    assert [record.value for record in stage.delivery.logs[JOINED]]
    assert [record.value is None for record in stage.settled(WAITING)] == [False, True]


def test_a_record_is_given_up_at_its_deadline_with_its_missing_rows(stage: Stage) -> None:
    stage.come(stage.customers, "c1", ADA)
    stage.joining.process([stage.order(0), stage.order(1, "other", "c9")])
    stage.time_passes(9.9)
    assert len(stage.waiting) == 2
    stage.time_passes(0.2)
    assert stage.causes() == [
        "products has no row 'p1'",
        "customers has no row 'c9'; products has no row 'p1'",
    ]


def test_waiting_records_are_counted_and_those_that_expire_are_sampled(stage: Stage) -> None:
    stage.come(stage.products, "p1", INK)
    stage.joining.process([stage.order(0), stage.order(1, "other", "c9")])
    stage.come(stage.customers, "c1", ADA)
    stage.time_passes(11)
    quality = stage.joining.quality
    counts = {name: count for name, count in quality.counts.as_dict().items() if count}
    assert counts == {"missing": 2, "waited": 2, "released": 1, "joined": 1, "expired": 1, "parked": 1}
    (expired,) = quality.expired
    assert expired == (stage.now, 1, b"other", 0, b"c9", None)
    assert [each.offset for each in quality.missing] == [0, 1]


def test_a_lagging_table_does_not_expire_records(stage: Stage) -> None:
    stage.joining.process([stage.order(0)])
    stage.customers.end = 5
    stage.time_passes(1_000)
    assert len(stage.waiting) == 1
    stage.customers.position = 5
    stage.time_passes(0)
    assert len(stage.waiting) == 0


def test_a_recreated_shorter_topic_does_not_keep_records_waiting_forever(stage: Stage) -> None:
    stage.joining.process([stage.order(0)])
    stage.customers.end, stage.customers.position = 1_000, 900
    stage.time_passes(1)
    stage.customers.end, stage.customers.position = 3, 3
    stage.time_passes(10)
    assert len(stage.waiting) == 0


def test_a_shorter_wait_applies_to_records_that_already_wait() -> None:
    stage = Stage(seconds=1_000)
    stage.joining.process([stage.order(0)])
    stage.delivery.finish()
    stage.opened(seconds=10)
    stage.joining.process([stage.order(1, "other")])
    stage.time_passes(10)
    assert len(stage.waiting) == 0


def test_beyond_the_limit_the_oldest_take_the_next_step_at_once() -> None:
    stage = Stage(settle=PassOn, at_most=3)
    stage.joining.process([stage.order(offset, f"k{offset}") for offset in range(5)])
    assert len(stage.waiting) == 3
    assert [record.key for record in stage.settled(JOINED)] == [b"k0", b"k1"]


def test_beyond_the_limit_a_record_whose_partner_exists_is_still_joined() -> None:
    stage = Stage(at_most=1)
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.joining.process([stage.order(0, "k0")])
    # The room was not notified: it looks the row up again before it gives an order up.
    stage.customers[b"c1"] = msgspec.json.encode(ADA)
    stage.joining.process([stage.order(1, "k1", "c9")])
    assert [record.key for record in stage.settled(JOINED)] == [b"k0"]
    assert stage.causes() == []


def test_a_record_that_is_too_large_to_wait_is_dead_lettered(stage: Stage) -> None:
    stage = Stage(largest=400)
    stage.joining.process([stage.order(0, "k" * 300), stage.order(1)])
    assert len(stage.waiting) == 1
    assert "at most 400 bytes" in stage.causes()[0]


def test_unreadable_waiting_records_are_dead_lettered_and_those_behind_are_released(stage: Stage) -> None:
    stage.joining.process([stage.order(0), stage.order(1, customer="c2")])
    stage.spoil(b'"c1"', b"12345")
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.customers[b"c2"] = msgspec.json.encode(Customer(customer_id="c2"))
    stage.opened()
    assert "Expected `str`" in stage.causes()[0]
    assert len(stage.settled(JOINED)) == 1
    assert len(stage.waiting) == 0


def test_an_unreadable_waiting_record_does_not_end_the_worker_when_it_expires(stage: Stage) -> None:
    stage.joining.process([stage.order(0, customer="c9"), stage.order(1, customer="c1")])
    stage.spoil(b'"c1"', b"12345")
    stage.opened()
    stage.time_passes(11)
    assert len(stage.waiting) == 0
    assert [("no row" in cause, "Expected" in cause) for cause in stage.causes()] == [(True, False), (False, True)]


def test_a_late_deletion_by_a_previous_owner_releases_those_behind_in_time(stage: Stage) -> None:
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.customers[b"c2"] = msgspec.json.encode(Customer(customer_id="c2"))
    stage.joining.process([stage.order(0), stage.order(1, customer="c2")])
    stage.settle_and_read_back()
    stage.delivery.emit(WAITS, 0, b"orders/0/0", None, 0)
    stage.settle_and_read_back()
    stage.time_passes(10)
    assert [msgspec.json.decode(record.value or b"")["customer_id"] for record in stage.settled(JOINED)] == ["c2"]
    assert len(stage.waiting) == 0
    assert stage.causes() == []


def test_a_record_that_a_previous_owner_released_late_waits_when_read_again(stage: Stage) -> None:
    stage.joining.process([stage.order(0)])
    stage.settle_and_read_back()
    stage.delivery.emit(WAITS, 0, b"orders/0/0", None, 0)
    stage.settle_and_read_back()
    stage.joining.process([stage.order(0)])
    stage.settle_and_read_back()
    assert len(stage.waiting) == len(stage.store.found) == 1


def test_a_late_record_of_a_previous_owner_is_released_at_the_next_assignment(stage: Stage) -> None:
    other = Stage()
    other.joining.process([other.order(7)])
    (late,) = other.settled(WAITING)
    stage.delivery.emit(WAITS, 0, late.key, late.value, 0)
    stage.settle_and_read_back()
    stage.opened()
    assert len(stage.waiting) == 1
    stage.come(stage.products, "p1", INK)
    stage.come(stage.customers, "c1", ADA)
    assert len(stage.settled(JOINED)) == 1


@pytest.mark.parametrize("late", ["the row", "its deletion"])
def test_a_late_write_of_a_previous_owner_does_not_affect_a_newer_record_of_the_row(late: str) -> None:
    stage, other = Stage(by_row_key=True), Stage(by_row_key=True)
    other.joining.process([other.order(0)])
    (before,) = other.settled(WAITING)
    stage.joining.process([stage.order(0), stage.order(1, customer="c2")])
    stage.settle_and_read_back()
    stage.delivery.emit(WAITS, 0, before.key, before.value if late == "the row" else None, 0)
    stage.settle_and_read_back()
    stage.opened()
    stage.settle_and_read_back()
    assert len(stage.waiting) == len(stage.store.found) == 1
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.come(stage.customers, "c2", Customer(customer_id="c2"))
    assert [msgspec.json.decode(record.value or b"")["customer_id"] for record in stage.settled(JOINED)] == ["c2"]


@pytest.mark.parametrize("partner", ["c2", "c1"])
@pytest.mark.parametrize("named", ['"order_id":"other",', '"order_id":7,', ""])
def test_an_invalid_row_replaces_no_waiting_record(named: str, partner: str) -> None:
    stage = Stage(by_row_key=True)
    stage.products[b"p1"] = msgspec.json.encode(INK)
    stage.customers[b"c2"] = msgspec.json.encode(Customer(customer_id="c2"))
    value = f'{{{named}"customer_id":"{partner}","product_id":"p1"}}'.encode()
    stage.joining.process([stage.order(0), Sent(1, 0, b"k", value, ())])
    stage.settle_and_read_back()
    assert len(stage.causes()) == 1
    assert [read(row)[1].offset for row in stage.store.found.values()] == [0]
    stage.come(stage.customers, "c1", ADA)
    assert [msgspec.json.decode(record.value or b"")["customer_id"] for record in stage.settled(JOINED)] == ["c1"]


def test_a_row_that_cannot_wait_still_replaces_its_earlier_version() -> None:
    stage = Stage(largest=400, by_row_key=True)
    stage.joining.process([stage.order(0), stage.order(1, product="p" * 300)])
    stage.settle_and_read_back()
    assert "at most 400 bytes" in stage.causes()[0]
    assert len(stage.waiting) == len(stage.store.found) == 0


def test_a_row_read_again_after_a_newer_one_that_is_read_again_waits_once() -> None:
    stage = Stage(by_row_key=True)
    rows = [stage.order(0), stage.order(1, customer="c2")]
    stage.joining.process(rows)
    stage.settle_and_read_back()
    stage.opened()
    stage.joining.process(rows[:1])
    stage.settle_and_read_back()
    assert b"aw==/1" in stage.store.found, "it does not replace a newer one"
    stage.joining.process(rows[1:])
    stage.settle_and_read_back()
    assert [read(row)[1].offset for row in stage.store.found.values()] == [1]
    assert len(stage.waiting) == 1


@pytest.mark.parametrize("value", [b'{"order_id":"k","customer_id":"c1","product_id":"p1"}', None])
def test_a_row_of_a_recreated_topic_replaces_an_earlier_one(value: bytes | None) -> None:
    stage = Stage(by_row_key=True)
    stage.joining.process([stage.order(100)])
    stage.settle_and_read_back()
    stage.joining.process([Sent(2, 5, b"k", value, ())])
    stage.settle_and_read_back()
    assert [read(row)[1].offset for row in stage.store.found.values()] == ([] if value is None else [2])
    assert len(stage.waiting) == len(stage.store.found)


def test_an_input_pauses_while_too_many_records_are_on_their_way_to_the_waiting_topic(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned_rows, "UNSTORED_ROWS", 2)
    stage.joining.process([stage.order(0)])
    assert not stage.joining.busy()
    stage.joining.process([stage.order(1)])
    assert stage.joining.busy()
    stage.settle_and_read_back()
    assert not stage.joining.busy()


def test_records_of_a_recreated_topic_do_not_replace_earlier_ones(stage: Stage) -> None:
    stage.joining.process([stage.order(0, "old")])
    stage.delivery.finish()
    stage.opened()
    stage.joining.process([stage.order(0, "new")])
    assert len(stage.waiting) == 1
    assert [letter.value for letter in stage.settled(LETTERS)] == [stage.order(0, "old").value]


def test_a_record_keeps_its_bytes_key_and_timestamp_while_it_waits(stage: Stage) -> None:
    value = b'{ "order_id":"\xc3\xa9", "unknown":[1, 2.50], "customer_id":"c1","product_id":"p1"}'
    stage.joining.process([Sent(3, 1_234, b"\xff\x00", value, ())])
    stage.delivery.finish()
    stage.opened()
    stage.come(stage.products, "p1", INK)
    stage.come(stage.customers, "c1", ADA)
    (joined,) = stage.settled(JOINED)
    assert (joined.key, joined.timestamp) == (b"\xff\x00", 1_234)
    assert (joined.value or b"").startswith(value[:-1])


@pytest.mark.parametrize("settle", [DeadLetter, PassOn])
def test_a_record_whose_function_ends_the_worker_still_waits(settle: Any) -> None:
    def exits(*_: Any) -> Any:
        raise SystemExit(0)

    stage = Stage(settle)
    stage.compiled = replace(stage.compiled, output_many=exits)
    stage.opened()
    stage.joining.process([stage.order(0)])
    stage.come(stage.customers, "c1", ADA)
    with pytest.raises(ExitedError, match=r"SystemExit\(0\), which ends the worker"):
        stage.come(stage.products, "p1", INK) if settle is DeadLetter else stage.time_passes(11)
    assert len(stage.waiting) == 1
    assert [record.value is None for record in stage.settled(WAITING)] == [False]
