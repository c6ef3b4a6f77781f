"""Pricing: the price of a product rises with its demand, and falls back."""

from __future__ import annotations

from datetime import datetime, timedelta

from agents.pricing import prices, pricing
from larder.testing import Driver
from tables import shop
from tables.orders import changes
from tests.agents.samples import NOON, change

LAMP = shop.Product(product_id="p1", name="Lamp", price=2.5, revision=1)


def tell(driver: Driver, quantity: int, at: datetime) -> None:
    driver.send(changes, change("requested", quantity=quantity, placed_at=at))


def price(driver: Driver) -> tuple[int, int]:
    row = driver.table(prices).get("p1")
    return row.price, row.ordered


def test_the_price_rises_with_the_demand_up_to_twice_and_falls_back_after_an_hour() -> None:
    with Driver(pricing, now=NOON) as driver:
        driver.send(shop.products, LAMP)
        tell(driver, 10, NOON)
        assert price(driver) == (275, 10)
        driver.advance(minutes=30)
        tell(driver, 500, driver.now)
        assert price(driver) == (500, 510)
        driver.advance(minutes=90)
        assert price(driver) == (250, 510)


def test_orders_of_the_past_are_counted_but_raise_no_price() -> None:
    with Driver(pricing, now=NOON) as driver:
        driver.send(shop.products, LAMP)
        tell(driver, 10, NOON - timedelta(days=1))
        assert price(driver) == (250, 10)
