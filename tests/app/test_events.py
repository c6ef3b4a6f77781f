"""The events in the shop: a function of time and randomness."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from app.events import CUSTOMERS, EARLY_BY, PRODUCTS, Shop
from tables import shop
from tables.shop import Customer, Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder.demo import Publication

NOW = 1_795_000_000.0


def _shop(revision: int = 0, orders: int = 0) -> Shop:
    """A shop that has published all customers at `revision`, or none if it is 0."""
    customers = [
        Customer(customer_id=f"c{number:05d}", name="Ada", country="AT", revision=revision)
        for number in range(1, CUSTOMERS + 1)
    ]
    return Shop(Random(7), customers if revision else (), orders)  # noqa: S311 - a game


def _customers(published: Iterable[Publication]) -> list[Customer]:
    return [row for _, row in published if isinstance(row, Customer)]


def _orders(published: Iterable[Publication]) -> list[Order]:
    return [row for _, row in published if isinstance(row, Order)]


def test_customers_products_and_orders_are_rows_of_the_shop() -> None:
    opened = _shop()
    opening = list(opened.opening())
    orders = _orders(opened.beat(500, NOW))
    assert all(type(row) is topic.row for topic, row in opening)
    assert len({each.customer_id for each in _customers(opening)}) == CUSTOMERS
    assert [row for topic, row in opening if topic is shop.products] == list(PRODUCTS)
    prices = {each.product_id: each.price for each in PRODUCTS}
    for order in orders:
        assert round(order.quantity * prices[order.product_id], 2) == order.amount
    assert len({order.order_id for order in orders}) == 500


def test_a_few_orders_precede_their_customer_and_some_never_get_one() -> None:
    opened = _shop()
    known = {each.customer_id for each in _customers(opened.opening())}
    unknown = [each.customer_id for each in _orders(opened.beat(100, NOW)) if each.customer_id not in known]
    assert unknown == ["c01001", "nobody-1"]
    assert [each.customer_id for each in _customers(opened.beat(0, NOW + EARLY_BY - 0.1))] != ["c01001"]
    came = _customers(opened.beat(0, NOW + EARLY_BY))
    assert came[0].customer_id == "c01001"


def test_the_shop_continues_from_the_published_revisions() -> None:
    opened = _shop(revision=7, orders=5000)
    assert _customers(opened.opening()) == []
    published = list(opened.beat(1, NOW))
    (moved,) = _customers(published)
    assert moved.revision == 8
    assert [each.order_id for each in _orders(published)] == ["o000005001"]
