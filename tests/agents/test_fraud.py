"""Fraud: what a customer has spent within an hour."""

from __future__ import annotations

from datetime import timedelta

from agents.fraud import LIMIT, MOST_ORDERS, fraud
from larder.testing import Driver
from tables.fraud import checks, spending
from tables.orders import changes
from tests.agents.samples import NOON, change


def tell(driver: Driver, order: str, amount: int, state: str = "requested") -> None:
    driver.send(changes, change(state, order_id=order, amount=amount, placed_at=driver.now))


def answers(driver: Driver) -> dict[str, bool]:
    return {each.order_id: each.passed for each in driver.read_rows(checks)}


def test_a_customer_spends_no_more_than_the_limit() -> None:
    with Driver(fraud, now=NOON) as driver:
        tell(driver, "o1", LIMIT - 100)
        tell(driver, "o2", 101)
        tell(driver, "o3", 100)
        assert answers(driver) == {"o1": True, "o2": False, "o3": True}


def test_what_was_spent_an_hour_ago_counts_no_more() -> None:
    with Driver(fraud, now=NOON) as driver:
        tell(driver, "o1", LIMIT)
        driver.advance(minutes=30)
        tell(driver, "o2", 1)
        driver.advance(minutes=30)
        tell(driver, "o3", LIMIT)
        assert answers(driver) == {"o1": True, "o2": False, "o3": True}
        driver.advance(hours=1)
        assert driver.table(spending).rows() == []


def test_each_order_leaves_the_window_at_its_own_time() -> None:
    with Driver(fraud, now=NOON) as driver:
        tell(driver, "o1", 1)
        driver.advance(minutes=20)
        tell(driver, "o2", 2)
        driver.advance_to(NOON + timedelta(minutes=60))
        assert set(driver.table(spending).get("c1").spent) == {"o2"}


def test_a_lost_order_is_not_spent() -> None:
    with Driver(fraud, now=NOON) as driver:
        tell(driver, "o1", LIMIT)
        tell(driver, "o1", LIMIT, "rejected")
        tell(driver, "o2", LIMIT)
        tell(driver, "o2", LIMIT)
        assert answers(driver) == {"o1": True, "o2": True}


def test_a_customer_has_only_so_many_orders_in_an_hour() -> None:
    with Driver(fraud, now=NOON) as driver:
        for number in range(MOST_ORDERS + 1):
            tell(driver, f"o{number}", 1)
        assert [order for order, passed in answers(driver).items() if not passed] == [f"o{MOST_ORDERS}"]
