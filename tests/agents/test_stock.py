"""Stock: reserves, sells and releases pieces, and buys more of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.stock import REMEMBERED, stock
from larder.testing import Driver
from tables.orders import Checked, changes
from tables.stock import Bought, Purchase, Sold, Stock, bought, checks, levels, purchases, sold
from tests.agents.samples import change


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver(stock) as opened:
        opened.request("POST /deliveries", {"product_id": "p1", "pieces": 3})
        yield opened


def tell(driver: Driver, order: str, state: str, quantity: int = 2, product: str = "p1") -> None:
    driver.send(changes, change(state, order_id=order, product_id=product, quantity=quantity))


def level(driver: Driver) -> tuple[int, dict[str, int], int]:
    row = driver.table(levels).get("p1")
    assert isinstance(row, Stock)
    return row.free, row.reserved, row.sold


def test_pieces_are_reserved_and_sold(driver: Driver) -> None:
    tell(driver, "o1", "requested")
    assert level(driver) == (1, {"o1": 2}, 0)
    assert driver.read_rows(checks) == [Checked(order_id="o1", check="stock", passed=True)]
    tell(driver, "o1", "paid")
    assert level(driver) == (1, {}, 2)
    assert driver.read_rows(sold) == [Sold(order_id="o1", product_id="p1", quantity=2)]


def test_no_more_pieces_are_reserved_than_there_are(driver: Driver) -> None:
    for order in ("o1", "o2"):
        tell(driver, order, "requested")
    assert level(driver) == (1, {"o1": 2}, 0)
    failed = driver.read_rows(checks)[-1]
    assert (failed.order_id, failed.passed, failed.reason) == ("o2", False, "1 of p1 are free, and 1 orders wait")


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_pieces_of_a_lost_order_are_free_again(driver: Driver, state: str) -> None:
    tell(driver, "o1", "requested")
    tell(driver, "o1", state)
    assert level(driver) == (3, {}, 0)


def test_changes_that_come_again_count_once(driver: Driver) -> None:
    for _ in range(2):
        for state in ("requested", "validated", "paid", "confirmed", "shipped"):
            tell(driver, "o1", state)
    assert level(driver) == (1, {}, 2)
    assert len(driver.read(checks)) == len(driver.read(sold)) == 1


def test_a_change_that_comes_again_after_many_other_orders_counts_once(driver: Driver) -> None:
    for order in range(REMEMBERED):
        tell(driver, f"o{order}", "requested", quantity=1)
        tell(driver, f"o{order}", "cancelled", quantity=1)
    tell(driver, "o0", "requested", quantity=1)
    assert level(driver) == (3, {}, 0)


def test_an_order_of_a_product_without_stock_gets_no_answer(driver: Driver) -> None:
    tell(driver, "o1", "requested", product="p9")
    tell(driver, "o1", "rejected", product="p9")
    assert [each.reason for each in driver.read_rows(stock.refusals)] == ["there is no stock of p9"]
    assert driver.read(checks) == []


def test_more_is_bought_once_when_a_product_runs_low(driver: Driver) -> None:
    driver.request("POST /deliveries", {"product_id": "p1", "pieces": 1, "low": 3})
    assert driver.read(purchases) == []
    tell(driver, "o1", "requested")
    driver.request("POST /deliveries", {"product_id": "p1", "pieces": 1})
    tell(driver, "o2", "requested", quantity=1)
    tell(driver, "o3", "requested", quantity=1)
    purchase = Purchase(product_id="p1", number=1, pieces=23)
    assert driver.read_rows(purchases) == [purchase]
    for _ in range(2):
        driver.send(bought, Bought(product_id="p1", number=1, pieces=23))
    assert level(driver)[0] == 24
    assert [each.reason for each in driver.read_rows(stock.refusals)] == ["purchase 1 is not open"]


def test_a_delivery_with_a_key_counts_once(driver: Driver) -> None:
    for _ in range(2):
        answer = driver.request("POST /deliveries", {"product_id": "p1", "pieces": 4}, once="the-key-of-a-client")
    assert (answer.row.free, answer.row.delivered, answer.repeated) == (7, 7, True)
