"""What happens in the demo's shop, and how it is told: pure functions of time and chance."""

from __future__ import annotations

from random import Random

import msgspec

from larder.demo.lines import WorkerLine, line
from larder.demo.outcome import DemoOutcome
from larder.demo.shop import CUSTOMERS, EARLY_BY, Shop, products
from tables import shop

NOW = 1_795_000_000.0


def _shop(revision: int = 0, next_order: int = 1) -> Shop:
    """A shop that published its customers up to `revision`; 0: not at all."""
    revisions = {f"c{number:05d}": revision for number in range(1, CUSTOMERS + 1)} if revision else {}
    return Shop(revisions, next_order, Random(7), NOW)  # noqa: S311 - a game


def test_customers_products_and_orders_are_rows_of_the_shop() -> None:
    opened = _shop()
    customers = [msgspec.json.decode(message.value or b"", type=shop.Customer) for message in opened.open()]
    goods = {each.key: msgspec.json.decode(each.value or b"", type=shop.Product) for each in products()}
    orders = opened.orders(500, NOW)
    assert len({customer.customer_id for customer in customers}) == CUSTOMERS
    for message in orders:
        order = msgspec.json.decode(message.value or b"", type=shop.Order)
        assert order.order_id.encode() == message.key
        price = goods[order.product_id.encode()].price
        assert round(order.quantity * price, 2) == order.amount
    assert len({message.key for message in orders}) == 500


def test_a_few_orders_come_before_their_customer_and_some_have_none_for_ever() -> None:
    opened = _shop()
    opened.open()
    known = {f"c{number:05d}" for number in range(1, CUSTOMERS + 1)}
    orders = [msgspec.json.decode(each.value or b"", type=shop.Order) for each in opened.orders(100, NOW)]
    strangers = [order.customer_id for order in orders if order.customer_id not in known]
    assert strangers == ["c01001", "nobody-1"]
    assert [each.key for each in opened.changes(NOW + EARLY_BY - 0.1)] != [b"c01001"]
    came = opened.changes(NOW + EARLY_BY)
    assert came[0].key == b"c01001"


def test_the_shop_goes_on_from_the_revisions_that_were_published() -> None:
    opened = _shop(revision=7, next_order=5001)
    assert opened.open() == []
    (moved,) = opened.changes(NOW)
    assert msgspec.json.decode(moved.value or b"", type=shop.Customer).revision == 8
    assert opened.orders(1, NOW)[0].key == b"o000005001"


def test_a_line_has_the_rate_since_the_one_before_and_no_lag_while_one_is_unknown() -> None:
    status = {
        "phase": "running",
        "processed": 3000,
        "inputs": [{"lag": 5}, {"lag": 7}],
        "joins": [{"counts": {"joined": 2900, "missing": 4}, "waiting": 3}],
    }
    shown = line("shipping-1", status, WorkerLine("shipping-1", "running", processed=1000), 2.0)
    assert shown == WorkerLine("shipping-1", "running", 3000, 1000.0, 12, 2900, 4, 3)
    assert "1,000/s" in shown.plain()
    assert line("shipping-1", {**status, "inputs": [{"lag": None}]}, None, 2.0).lag is None
    assert line("shipping-1", {}, None, 2.0) == WorkerLine("shipping-1", "starting")


def test_the_outcome_counts_from_the_first_order_that_was_seen() -> None:
    outcome = DemoOutcome(3)
    outcome.saw({}, 1.0)
    outcome.saw({shop.enriched_orders.name: 10, shop.fulfilments.name: 4}, 5.0)
    outcome.saw({shop.enriched_orders.name: 210, shop.fulfilments.name: 200}, 7.0)
    outcome.saw({shop.enriched_orders.name: 210, shop.fulfilments.name: 210}, 9.0)
    told = outcome.as_dict()
    assert (told["seconds_to_first_joined"], told["enriched"], told["fulfilled"]) == (5.0, 210, 210)
    assert told["per_second"] == 105.0
