"""Orders: what clients send, an order as it is now, and each change of it. The service `orders` alone writes them.

Money is in cents.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from larder import EventTopic, OwnerTopic, Row
from tables.order_states import State


class NewOrder(Row):
    """A client's order. `price` is what it has seen for one piece; by default the catalogue's price counts."""

    order_id: str
    customer_id: str
    product_id: str
    quantity: Annotated[int, Meta(ge=1, le=1_000)]
    price: Annotated[int, Meta(ge=1)] | None = None


class Cancellation(Row):
    """A client's wish to cancel an order."""

    order_id: str
    reason: str = "by the customer"


class OrderChange(Row):
    """An order after a change of its state; `step` counts the changes from 1. `reason` says why it was lost."""

    order_id: str
    customer_id: str
    product_id: str
    quantity: int
    amount: int
    state: State
    step: int
    placed_at: datetime
    changed_at: datetime
    reason: str = ""


class Order(OrderChange):
    """An order as it is now: its last change, and the names of the checks that it has passed."""

    passed: tuple[str, ...] = ()
    revision: int = 0


class Checked(Row):
    """What a service says about a requested order. One order and `check` may be told of more than once."""

    order_id: str
    check: str
    passed: bool
    reason: str = ""


orders = OwnerTopic("sales.orders", Order, key="order_id", revision="revision", owner="orders", indexes=["customer_id"])
changes = EventTopic("sales.order-changes", OrderChange, key="order_id", owner="orders")
