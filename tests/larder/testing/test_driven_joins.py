"""Joins that a test drives: what waits, what the clock ends, what rows become."""

from __future__ import annotations

from datetime import timedelta

from larder import DeadLetter, Drop, OwnerTopic, PassOn, Service, Wait
from larder.testing import Driver
from larder.testing.driver import START
from tests.larder.testing.shop import (
    NOON,
    Address,
    Customer,
    Joined,
    Label,
    Order,
    ada,
    addresses,
    customers,
    joined,
    labels,
    names,
    order,
    orders,
    waiting,
)


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


def test_one_waiting_order_too_many_takes_the_next_step_at_once() -> None:
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
