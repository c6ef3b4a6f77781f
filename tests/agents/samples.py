"""Changes of orders, as the service of orders publishes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tables.orders import OrderChange

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def change(state: str, **fields: Any) -> OrderChange:
    """Return a change of the order o1, unless the fields say otherwise."""
    given: dict[str, Any] = {
        "order_id": "o1",
        "customer_id": "c1",
        "product_id": "p1",
        "quantity": 2,
        "amount": 500,
        "step": 1,
        "placed_at": NOON,
        "changed_at": NOON,
    }
    return OrderChange(**(given | {"state": state} | fields))
