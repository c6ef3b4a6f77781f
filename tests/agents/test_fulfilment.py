"""Fulfilment, over whole lists of records."""

from __future__ import annotations

from datetime import UTC, datetime

from agents.fulfilment import fulfilment
from larder.testing import run_in_memory
from tables import shop
from tables.shop import Customer, Order

ADA = Customer(customer_id="c1", name="Ada", country="AT", revision=1)


def _order(number: int, customer: str) -> Order:
    return Order(
        order_id=f"o{number}",
        customer_id=customer,
        product_id="p1",
        quantity=2,
        amount=5.0,
        ordered_at=datetime(2024, 1, 1, 12, tzinfo=UTC),
    )


def test_an_order_is_published_with_its_customer_or_without() -> None:
    result = run_in_memory(fulfilment, {shop.customers: [ADA], shop.orders: [_order(1, "c1"), _order(2, "c9")]})
    customers = {record.row.order_id: record.row.customer for record in result[shop.fulfilments]}
    assert customers == {"o1": ADA, "o2": None}
