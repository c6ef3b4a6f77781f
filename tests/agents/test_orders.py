"""Orders: what moves an order, what does not, and how clients are answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.orders import orders
from larder.testing import Driver
from tables import fraud, payments, shipments, shop, stock
from tables import orders as data
from tables.orders import Checked, Order, OrderChange
from tables.payments import NotPaid, Paid
from tables.shipments import Shipped
from tables.stock import Sold

LAMP = shop.Product(product_id="p1", name="Lamp", price=2.5, revision=1)
NEW = {"order_id": "o1", "customer_id": "c1", "product_id": "p1", "quantity": 2}
ONCE = "the-key-of-a-client"
PAID = Paid(order_id="o1", amount=500, charge_id="x")


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver(orders) as opened:
        opened.send(shop.products, LAMP)
        yield opened


def order(driver: Driver) -> Order:
    found = driver.table(data.orders).get("o1")
    assert isinstance(found, Order)
    return found


def states(driver: Driver) -> list[str]:
    changes: list[OrderChange] = driver.read_rows(data.changes)
    return [each.state for each in changes]


def check(driver: Driver, name: str, *, passed: bool = True) -> None:
    topic = {"stock": stock.checks, "fraud": fraud.checks}[name]
    driver.send(topic, Checked(order_id="o1", check=name, passed=passed, reason="" if passed else "no"))


def test_an_order_goes_from_requested_to_shipped(driver: Driver) -> None:
    answer = driver.request("POST /orders", NEW, once=ONCE)
    assert (answer.status, answer.row.state, answer.row.amount) == (201, "requested", 500)
    check(driver, "fraud")
    check(driver, "stock")
    driver.send(payments.paid, PAID)
    driver.send(stock.sold, Sold(order_id="o1", product_id="p1", quantity=2))
    driver.send(shipments.shipped, Shipped(order_id="o1"))
    assert states(driver) == ["requested", "validated", "paid", "confirmed", "shipped"]
    assert (order(driver).step, order(driver).passed) == (5, ("fraud", "stock"))


def test_a_second_post_of_an_order_counts_once(driver: Driver) -> None:
    first = driver.request("POST /orders", NEW, once=ONCE)
    check(driver, "stock", passed=False)
    assert driver.request("POST /orders", NEW, once=ONCE) == first._replace(repeated=True)
    again = driver.request("POST /orders", NEW)
    assert (again.status, again.reason) == (409, "there is an order o1 already")
    assert states(driver) == ["requested", "rejected"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"quantity": 0}, 422, "$.quantity"),
        ({"price": 0}, 422, "$.price"),
        ({"price": 249}, 409, "p1 costs 250 cents, not 249"),
        ({"product_id": "p9"}, 409, "there is no product p9"),
    ],
)
def test_an_order_that_makes_no_sense_is_not_taken(
    driver: Driver, body: dict[str, object], status: int, reason: str
) -> None:
    answer = driver.request("POST /orders", NEW | body)
    assert (answer.status, reason in (answer.reason or "")) == (status, True), answer
    assert states(driver) == []


def test_a_higher_price_that_the_client_has_seen_counts(driver: Driver) -> None:
    assert driver.request("POST /orders", NEW | {"price": 300}).row.amount == 600


def test_a_check_that_passes_twice_counts_once(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    for _ in range(3):
        check(driver, "stock")
    assert (order(driver).state, order(driver).passed, order(driver).revision) == ("requested", ("stock",), 2)


def test_one_check_that_fails_rejects_with_its_reason(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    check(driver, "fraud", passed=False)
    check(driver, "stock")
    assert (order(driver).state, order(driver).reason) == ("rejected", "fraud: no")


def test_a_check_that_does_not_answer_rejects_by_the_deadline(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    check(driver, "fraud")
    driver.advance(seconds=9)
    assert order(driver).state == "requested"
    driver.advance(seconds=1)
    assert (order(driver).state, order(driver).reason) == ("rejected", "stock: no answer in 10 s")


def test_an_order_that_is_not_paid_is_rejected(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    check(driver, "fraud")
    check(driver, "stock")
    driver.send(payments.not_paid, NotPaid(order_id="o1", reason="the card is refused"))
    assert (order(driver).state, order(driver).reason) == ("rejected", "the card is refused")


def test_an_order_is_cancelled_until_it_is_paid(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    answer = driver.request("POST /orders/o1/cancel", {"reason": "too slow"})
    assert (answer.status, answer.row.state, answer.row.reason) == (200, "cancelled", "too slow")
    assert driver.request("POST /orders/o1/cancel").status == 200
    assert states(driver) == ["requested", "cancelled"]
    assert driver.request("POST /orders/o2/cancel").reason == "there is no order o2"


def test_a_paid_order_is_not_cancelled(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    check(driver, "fraud")
    check(driver, "stock")
    driver.send(payments.paid, PAID)
    answer = driver.request("POST /orders/o1/cancel")
    assert (answer.status, answer.reason) == (409, "too late: the order is paid")


def test_what_comes_too_early_is_refused_and_what_comes_too_late_changes_nothing(driver: Driver) -> None:
    driver.request("POST /orders", NEW)
    driver.send(shipments.shipped, Shipped(order_id="o1"))
    driver.send(payments.paid, Paid(order_id="o9", amount=1, charge_id="y"))
    refused = driver.read_rows(orders.refusals)
    assert [(each.key, each.reason) for each in refused] == [
        ("o1", "an order that is requested cannot be shipped"),
        ("o9", "there is no such order"),
    ]
    driver.request("POST /orders/o1/cancel")
    check(driver, "stock")
    driver.advance(seconds=10)
    assert states(driver) == ["requested", "cancelled"]
    assert driver.read(orders.refusals) == []
