"""Shipping, driven record by record."""

from __future__ import annotations

from datetime import UTC, datetime

from agents.shipping import shipping
from larder.testing import Driver
from tables import shop
from tables.shop import Customer, EnrichedOrder, Order, Product

ADA = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
TEA = Product(product_id="p1", name="Tea", price=2.5, revision=1)
ORDER = Order(
    order_id="o1",
    customer_id="c1",
    product_id="p1",
    quantity=2,
    amount=5.0,
    ordered_at=datetime(2024, 1, 1, 12, tzinfo=UTC),
)


def test_an_order_gets_its_customer_and_its_product() -> None:
    with Driver(shipping) as driver:
        driver.send(shop.customers, ADA)
        driver.send(shop.products, TEA)
        driver.send(shop.orders, ORDER)
        [enriched] = driver.read_rows(shop.enriched_orders)
    assert isinstance(enriched, EnrichedOrder)
    assert (enriched.order_id, enriched.customer, enriched.product) == ("o1", ADA, TEA)


def test_an_early_order_waits_for_its_customer() -> None:
    with Driver(shipping) as driver:
        driver.send(shop.products, TEA)
        driver.send(shop.orders, ORDER)
        driver.advance(seconds=29)
        assert driver.read_rows(shop.enriched_orders) == []
        driver.send(shop.customers, ADA)
        assert len(driver.read_rows(shop.enriched_orders)) == 1


def test_an_order_whose_customer_never_arrives_becomes_a_dead_letter() -> None:
    with Driver(shipping) as driver:
        driver.send(shop.products, TEA)
        driver.send(shop.orders, ORDER)
        driver.advance(seconds=31)
        [letter] = driver.dead_letters()
    assert letter.cause == "shop.customers has no row 'c1'"
