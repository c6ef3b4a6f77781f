"""A service driven record by record: what comes of each, what waits, what the clock brings."""

from __future__ import annotations

import doctest
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fulfilment import fulfilment
from larder import DeadLetter, Decision, Delete, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait, Wake
from larder.testing import Driver, MemoryRecord, UnreadDeadLettersError, run_in_memory
from larder.testing.driver import START
from larder.types import UNKNOWN, DeclarationError, Near, Unknown, WakeUp
from tables import shop

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Order(Row):
    order_id: str
    customer_id: str
    amount: int = 1


class Joined(Order):
    customer: Customer | None


class Count(Row):
    customer_id: str
    orders: int
    revision: int = 0


class Address(Row):
    address_id: str
    customer_id: str | None
    revision: int


class Label(Address):
    customer: Customer


class Change(Row):
    customer_id: str
    old: str


class Device(Row):
    device: UUID


class Reading(Row):
    device: UUID


class Placed(Reading):
    device_row: Device


customers = OwnerTopic("customers", Customer, key="customer_id", revision="revision", owner="crm")
orders = EventTopic("orders", Order, key="order_id", owner="checkout")
joined = EventTopic("joined", Joined, key="order_id", owner="shop")
counts = OwnerTopic("counts", Count, key="customer_id", revision="revision", owner="shop")
addresses = OwnerTopic("addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("labels", Label, key="address_id", revision="revision", owner="shop")


def ada(revision: int = 1, name: str = "Ada") -> Customer:
    return Customer(customer_id="c1", name=name, revision=revision)


def order(name: str = "o1", customer_id: str = "c1") -> Order:
    return Order(order_id=name, customer_id=customer_id)


def joining(missing: Any = DeadLetter) -> Service:
    service = Service("shop")
    service.join(orders.by("customer_id"), service.table(customers), into=joined, missing=missing)
    return service


def waiting(seconds: float = 60, at_most: int = 100, then: Any = DeadLetter) -> Service:
    return joining(Wait(seconds=seconds, at_most=at_most).then(then))


def names(driver: Driver) -> list[tuple[str, str | None]]:
    return [(row.order_id, row.customer and row.customer.name) for row in driver.read_rows(joined)]


def test_a_record_has_had_its_effect_when_it_is_sent() -> None:
    with Driver(joining()) as driver:
        driver.send(customers, ada())
        driver.send(orders, order())
        assert names(driver) == [("o1", "Ada")]
        assert names(driver) == []
        driver.send(customers, ada(2, "Ada L."))
        driver.send("orders", order("o2"))
        assert names(driver) == [("o2", "Ada L.")]


def test_a_result_has_key_value_and_the_time_of_its_record() -> None:
    with Driver(joining(), now=NOON) as driver:
        driver.send(customers, ada())
        driver.send(orders, order(), headers={"trace": b"1"})
        driver.send(orders, order("o2"), at=NOON - timedelta(hours=1))
        first, second = driver.read(joined)
    assert (first.key, first.headers) == (b"o1", ())
    assert first.value == (
        b'{"order_id":"o1","customer_id":"c1","amount":1,"customer":{"customer_id":"c1","name":"Ada","revision":1}}'
    )
    assert (first.at, second.at) == (NOON, NOON - timedelta(hours=1))


def test_rows_of_a_table_are_those_that_a_worker_would_have() -> None:
    with Driver(joining()) as driver:
        table = driver.table(customers)
        driver.send(customers, ada(3, "Ada"))
        driver.send(customers, ada(2, "late"))
        driver.send(customers, Customer(customer_id="c0", name="Bob", revision=1))
        assert [row.name for row in table.rows()] == ["Bob", "Ada"]
        driver.send(customers, None, key="c1", headers={"larder.revision": b"4"})
        driver.send(customers, ada(4, "late"))
        assert table.get("c1") is None
        driver.send(customers, ada(5, "again"))
        assert table.get("c1") == ada(5, "again")


def test_what_other_programs_send_may_be_a_dict_or_bytes() -> None:
    with Driver(joining(PassOn)) as driver:
        driver.send(customers, {"customer_id": "c1", "name": "Ada", "revision": 1.0})
        driver.send(orders, b'{"order_id": "o1", "customer_id": "c1"}', key=b"o1")
        assert names(driver) == [("o1", "Ada")]
        driver.send(orders, {"order_id": "o2"})
        (letter,) = driver.dead_letters()
    assert (letter.topic, letter.offset, letter.record.key) == ("orders", 1, b"o2")
    assert "missing required field `customer_id`" in letter.cause


def test_a_key_in_another_form_is_the_same_key() -> None:
    devices = OwnerTopic("devices", Device, key="device", key_type=UUID)
    readings = EventTopic("readings", Reading, key="device", key_type=UUID)
    service = Service("shop")
    placed = EventTopic("placed", Placed, key="device", key_type=UUID)
    service.join(readings, service.table(devices).on("device", "device_row"), into=placed)
    name = UUID(int=0xABC)
    with Driver(service) as driver:
        driver.send(devices, Device(device=name), key=f"{{{name}}}".upper().encode())
        assert driver.table(devices).get(name) == Device(device=name)
        driver.send(readings, Reading(device=name))
        assert driver.read_rows(placed) == [Placed(device=name, device_row=Device(device=name))]


def test_an_order_waits_for_its_customer_and_later_ones_of_its_key_wait_behind_it() -> None:
    service = Service("shop")
    table = service.global_table(customers)
    service.join(orders, table.on("customer_id"), into=joined, missing=Wait(seconds=60).then(DeadLetter))
    with Driver(service) as driver:
        driver.send(orders, order("o1"))
        driver.send(orders, order("o2", "c2"))
        driver.send(orders, {"order_id": "o2", "customer_id": "c1", "amount": 2})
        driver.send(customers, ada())
        assert names(driver) == [("o1", "Ada")]
        driver.send(customers, Customer(customer_id="c2", name="Bob", revision=1))
        assert names(driver) == [("o2", "Bob"), ("o2", "Ada")]


def test_a_wait_ends_at_its_deadline_by_the_clock_of_the_driver() -> None:
    with Driver(waiting(seconds=60)) as driver:
        driver.send(orders, order("o1"))
        driver.advance(seconds=40)
        driver.send(orders, order("o2"))
        driver.advance(seconds=19.9)
        assert driver.dead_letters() == []
        driver.advance(seconds=0.1)
        (letter,) = driver.dead_letters()
        assert (letter.record.row.order_id, letter.cause) == ("o1", "customers has no row 'c1'")
        driver.send(customers, ada())
        assert names(driver) == [("o2", "Ada")]
        driver.advance(days=1)


def test_an_order_too_many_takes_the_next_step_at_once() -> None:
    with Driver(waiting(at_most=1, then=PassOn)) as driver:
        driver.send(orders, order("o1"))
        driver.send(orders, order("o2"))
        assert names(driver) == [("o1", None)]


def test_of_a_row_the_newest_record_waits() -> None:
    service = Service("shop")
    into = OwnerTopic("rows", Joined, key="order_id", owner="shop")
    rows = OwnerTopic("order-rows", Order, key="order_id", owner="checkout")
    table = service.global_table(customers)
    service.join(rows, table.on("customer_id"), into=into, missing=Wait(seconds=60).then(Drop))
    with Driver(service) as driver:
        driver.send(rows, Order(order_id="o1", customer_id="c1", amount=1))
        driver.send(rows, Order(order_id="o1", customer_id="c1", amount=2))
        driver.send(rows, Order(order_id="o2", customer_id="c1", amount=3))
        driver.send(rows, None, key="o2")
        assert driver.read_rows(into) == [None]
        driver.send(customers, ada())
        assert [row.amount for row in driver.read_rows(into)] == [2]


def test_rekeyed_rows_move_and_an_older_one_never_follows_a_newer_one() -> None:
    service = Service("shop")
    service.table(labels)
    service.join(addresses.by("customer_id"), service.table(customers), into=labels, missing=Drop)
    with Driver(service) as driver:
        driver.send(customers, ada())
        for revision, customer_id in ((1, "c1"), (3, "c9"), (2, "c1")):
            driver.send(addresses, Address(address_id="a1", customer_id=customer_id, revision=revision))
        made, gone = driver.read(labels)
        assert made.row.customer == ada()
        assert (gone.value, gone.headers) == (None, (("larder.revision", b"3"),))
        driver.send(addresses, Address(address_id="a1", customer_id="c1", revision=4))
        assert driver.table(labels).get("a1").revision == 4
        driver.send(addresses, Address(address_id="a1", customer_id=None, revision=5))
        (letter,) = driver.dead_letters()
        assert "customer_id is null" in letter.cause or "partitioned by is null" in letter.cause
        assert driver.table(labels).rows() == []


def test_a_result_of_rekeyed_rows_needs_the_revision_of_its_row() -> None:
    service = Service("shop")

    @service.join(addresses.by("customer_id"), service.table(customers), into=labels, missing=Drop)
    def label(address: Address, customer: Customer) -> Label:
        return Label(address_id=address.address_id, customer_id="c1", revision=7, customer=customer)

    with Driver(service) as driver:
        driver.send(customers, ada())
        driver.send(addresses, Address(address_id="a1", customer_id="c1", revision=1))
        assert driver.read(labels) == []
        (letter,) = driver.dead_letters()
    assert letter.topic == "shop.labels.joined"
    assert "requires the revision of its row" in letter.cause


def counting(missing: Any = Drop) -> Service:
    """Orders are joined, and the results of each customer counted, until it is forgotten."""
    service = joining(missing)

    @service.decide(joined.by("customer_id"), state=service.table(counts))
    def count(event: Joined | WakeUp, row: Count | None, near: Near) -> Decision:
        if isinstance(event, WakeUp):
            return Decision(rows=Delete(event.key))
        if near.get(service.tables[0], event.customer_id).name == "nobody":
            return Decision(refuse="nobody orders nothing")
        total = 1 + (row.orders if row else 0)
        forgotten = Wake(event.customer_id, NOON + timedelta(minutes=total))
        return Decision(rows=Count(customer_id=event.customer_id, orders=total), wake=forgotten)

    return service


def test_results_that_the_service_reads_itself_flow_on() -> None:
    with Driver(counting(), now=NOON) as driver:
        driver.send(customers, ada())
        for number in range(3):
            driver.send(orders, order(f"o{number}"))
        assert driver.table(counts).get("c1") == Count(customer_id="c1", orders=3, revision=3)
        assert [row.orders for row in driver.read_rows(counts)] == [1, 2, 3]
        driver.send(customers, ada(2, "nobody"))
        driver.send(orders, order("o4"))
        (refused,) = driver.read_rows("shop.refusals")
        assert (refused.id, refused.reason) == ("shop.joined.by.customer_id/0/3", "nobody orders nothing")


def test_a_row_is_woken_when_the_clock_comes_to_its_time() -> None:
    with Driver(counting(), now=NOON) as driver:
        driver.send(customers, ada())
        driver.send(orders, order("o1"))
        driver.send(orders, order("o2"))
        driver.advance(minutes=1)
        assert driver.table(counts).get("c1").orders == 2
        driver.advance(minutes=5)
        assert driver.table(counts).rows() == []
        gone = driver.read(counts)[-1]
        assert (gone.key, gone.headers, gone.at) == (
            b"c1",
            (("larder.revision", b"3"),),
            NOON + timedelta(minutes=2),
        )
        driver.send(orders, order("o3"))
        assert driver.table(counts).get("c1") is None, "its wake-up was due when it was set"


def test_a_wake_up_that_cannot_be_decided_on_is_a_dead_letter() -> None:
    service = Service("shop")

    @service.decide(orders.by("customer_id"), state=service.table(counts))
    def count(event: Order | WakeUp, _row: Count | None) -> Decision:
        if isinstance(event, Order):
            return Decision(wake=Wake(event.customer_id, NOON))
        message = "overslept"
        raise LookupError(message)

    with Driver(service, now=NOON) as driver:
        driver.send(orders, order())
        (letter,) = driver.dead_letters()
        driver.advance(days=1)
    assert (letter.topic, letter.record.row["key"]) == ("shop.counts.wake-ups", "YzE=")
    assert "raised LookupError: overslept" in letter.cause


def test_a_reaction_gets_each_change_and_unknown_for_what_could_not_be_read() -> None:
    changes = EventTopic("changes", Change, key="customer_id", owner="shop")
    service = Service("shop")

    @service.on_change(service.table(customers), into=changes)
    def changed(old: Customer | Unknown | None, new: Customer | None) -> Change:
        before = "unknown" if old is UNKNOWN else old.name if isinstance(old, Customer) else "none"
        return Change(customer_id=new.customer_id if new else "gone", old=before)

    with Driver(service) as driver:
        driver.send(customers, b"{}", key="c1")
        driver.send(customers, ada())
        driver.send(customers, ada())
        driver.send(customers, None, key="c1")
        assert [row.old for row in driver.read_rows(changes)] == ["unknown", "Ada"]
        (letter,) = driver.dead_letters()
        assert (letter.topic, letter.offset) == ("customers", 0)


def test_a_dead_letter_that_the_test_does_not_read_fails_it() -> None:
    with (
        pytest.raises(UnreadDeadLettersError, match=r"shop\.orders\.by\.customer_id/0/0: customers has no row 'c1'"),
        Driver(joining()) as it,
    ):
        it.send(orders, order())
    with Driver(joining()) as driver:
        driver.send(orders, order())
        (raw,) = driver.read("shop.dead-letters")
        assert dict(raw.headers)["larder.key"] == b"o1"


def test_a_test_that_fails_is_told_its_first_failure() -> None:
    driver = Driver(joining())
    driver.send(orders, order())
    with pytest.raises(DeclarationError, match="reading nothing"), driver:
        driver.read("nothing")


def test_the_fixture_opens_drivers(larder_driver: Callable[..., Driver]) -> None:
    driver, later = larder_driver(joining()), larder_driver(joining(), now=NOON)
    driver.send(customers, ada())
    assert (driver.now, later.now) == (START, NOON)
    assert (driver.table(customers).get("c1"), later.table("customers").rows()) == (ada(), [])


@given(
    st.lists(st.sampled_from(["c1", "c2", "c3"]), unique=True),
    st.lists(st.sampled_from(["c1", "c2", "c4"]), max_size=8),
)
def test_a_driver_that_gets_tables_first_has_the_results_of_a_run_over_lists(
    known: list[str], bought: list[str]
) -> None:
    rows = [Customer(customer_id=key, name=key, revision=1) for key in known]
    records = [order(f"o{number}", key) for number, key in enumerate(bought)]
    service = counting(Wait(seconds=60).then(PassOn))
    expected = run_in_memory(service, {customers: rows, orders: records})
    driver = Driver(service)
    for row in rows:
        driver.send(customers, row)
    for record in records:
        driver.send(orders, record)
    driver.advance(minutes=1)
    assert Counter(_keys_and_values(driver.read(joined))) == Counter(_keys_and_values(expected[joined]))
    assert [letter.value for letter in driver.read("shop.dead-letters")] == [
        letter.value for letter in expected["shop.dead-letters"]
    ]
    totals = {row.customer_id: row.orders for row in driver.read_rows(counts)}
    assert totals == {record.row.customer_id: record.row.orders for record in expected[counts]}


def _keys_and_values(records: list[MemoryRecord]) -> list[tuple[bytes | None, bytes | None]]:
    return [(record.key, record.value) for record in records]


def test_the_clock_goes_by_microseconds() -> None:
    with Driver(waiting(seconds=0.05), now=NOON + timedelta(microseconds=123_457)) as driver:
        driver.send(orders, order())
        driver.advance(seconds=0.049_999)
        assert driver.dead_letters() == []
        driver.advance(seconds=0.000_001)
        assert len(driver.dead_letters()) == 1
        driver.send(orders, order("o2"), at=START + timedelta(milliseconds=7))
        driver.advance(seconds=0.05)
        (letter,) = driver.dead_letters()
        assert letter.record.timestamp == 946_684_800_007


@pytest.mark.parametrize("documented", [Driver, run_in_memory])
def test_the_examples_of_docstrings_run(documented: Any) -> None:
    ada = shop.Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    bought = shop.Order(order_id="o1", customer_id="c1", product_id="p1", quantity=1, amount=1.0, ordered_at=NOON)
    names = {
        "fulfilment": fulfilment, "shop": shop, "Customer": shop.Customer,
        "ada": ada, "order": bought, "orders": [bought], documented.__name__: documented,
    }  # fmt: skip
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, globs=names)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (
            lambda it: it.send(joined, order()),
            r'records of joined: .*found "joined"; give records of customers, orders',
        ),
        (
            lambda it: it.send(orders, ada()),
            "record 0 of orders: requires a row of Order, a dict, JSON bytes or None; fo",
        ),
        (lambda it: it.send(orders, {"order_id": 1}), "requires a str in order_id, .*found 1; give its key: key="),
        (
            lambda it: it.read(orders),
            'reading orders: requires a topic that shop publishes into; found "orders"; read j',
        ),
        (
            lambda it: it.table(labels),
            'table labels: requires a table that shop declares; found "labels"; ask for cust',
        ),
        (lambda it: it.advance(seconds=-1), "the clock of a driver: requires a time that is not before 2000-01-01T00"),
    ],
)
def test_a_mistake_of_the_test_is_told_with_what_to_do(use: Callable[[Driver], Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        use(Driver(joining()))


def test_a_service_that_feeds_itself_without_end_is_refused() -> None:
    service = Service("shop")
    table = service.global_table(customers)
    back = EventTopic("back", Order, key="order_id", owner="shop")
    service.join(back, table.on("customer_id"), into=joined, missing=PassOn)
    service.join(joined, table.on("customer_id", "again"), into=back, missing=PassOn)(
        lambda row, _: Order(order_id=row.order_id, customer_id=row.customer_id)
    )
    with pytest.raises(DeclarationError, match="what comes of a record comes to an end"):
        Driver(service).send(back, order())
