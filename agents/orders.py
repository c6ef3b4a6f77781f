"""Orders: the only writer of the state of an order.

Clients place an order and may cancel it. All else that moves it is what other services say has happened.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from larder import Decision, Service, Wake
from larder.types import Near, WakeUp
from tables import fraud, payments, shipments, shop, stock
from tables import orders as data
from tables.order_states import MOVES, Happening, is_early
from tables.orders import Cancellation, Checked, NewOrder, Order, OrderChange
from tables.payments import NotPaid, Paid
from tables.shipments import Shipped
from tables.stock import Sold

Event = Checked | Paid | NotPaid | Sold | Shipped | WakeUp

CHECKS: Final = frozenset({"fraud", "stock"})
"""An order is valid when it has passed each of them, in whatever order and however often it hears so."""

CHECKED_WITHIN: Final = timedelta(seconds=10)
"""A check that has not answered by then counts as failed. It takes a second at most, unless its service is away."""

orders = Service("orders", context="sales")
held = orders.table(data.orders)
products = orders.global_table(shop.products)


@orders.request("POST /orders", state=held, into=data.changes)
def place(new: NewOrder, order: Order | None, near: Near) -> Decision:
    """Take an order at the catalogue's price, or at a higher one that the client has seen."""
    product: shop.Product | None = near.get(products, new.product_id)
    if order is not None:
        return Decision(refuse=f"there is an order {new.order_id} already")
    if product is None:
        return Decision(refuse=f"there is no product {new.product_id}")
    least = round(product.price * 100)
    price = least if new.price is None else new.price
    if price < least:
        return Decision(refuse=f"{new.product_id} costs {least} cents, not {price}")
    placed = Order(
        order_id=new.order_id,
        customer_id=new.customer_id,
        product_id=new.product_id,
        quantity=new.quantity,
        amount=new.quantity * price,
        state="requested",
        step=1,
        placed_at=near.now,
        changed_at=near.now,
    )
    return Decision(placed, emit=change(placed), wake=Wake(placed.order_id, near.now + CHECKED_WITHIN))


@orders.request("POST /orders/{order_id}/cancel", state=held, into=data.changes)
def cancel(wish: Cancellation, order: Order | None, near: Near) -> Decision:
    """Cancel an order that is not paid yet. To cancel it twice is to cancel it."""
    if order is None:
        return Decision(refuse=f"there is no order {wish.order_id}")
    if order.state == "cancelled":
        return Decision()
    return move(order, "cancelled", near.now, wish.reason) or Decision(refuse=f"too late: the order is {order.state}")


@orders.decide(
    [stock.checks, fraud.checks, payments.paid, payments.not_paid, stock.sold, shipments.shipped],
    state=held,
    into=data.changes,
)
def follow(event: Event, order: Order | None, near: Near) -> Decision | None:
    """Move an order by what has happened. What comes too late changes nothing; what comes too early is refused."""
    if order is None:
        return Decision(refuse="there is no such order")
    if isinstance(event, Checked):
        return check(order, event, near.now)
    happened, reason = told(event, order)
    return move(order, happened, near.now, reason)


@orders.predicate(held)
def settled(order: Order) -> bool:
    """Whether the client knows what it gets: the order is confirmed, or lost."""
    return order.state in {"confirmed", "shipped", "rejected", "cancelled"}


@orders.predicate(held)
def paid(order: Order) -> bool:
    """Whether the order is paid, whatever came after."""
    return order.state in {"paid", "confirmed", "shipped"}


def check(order: Order, answer: Checked, now: datetime) -> Decision | None:
    """Count the first answer of each check; all of them together make the order valid."""
    if answer.check in order.passed:
        return None
    if not answer.passed:
        return move(order, "invalid", now, f"{answer.check}: {answer.reason}")
    passed = CHECKS & {*order.passed, answer.check}
    order = replace(order, passed=tuple(sorted(passed)))
    return move(order, "valid" if passed == CHECKS else "checked", now)


def told(event: Paid | NotPaid | Sold | Shipped | WakeUp, order: Order) -> tuple[Happening, str]:
    """Return what an event says has happened to an order, and why, if the order is lost by it."""
    match event:
        case WakeUp():
            return "late", f"{', '.join(sorted(CHECKS - {*order.passed}))}: no answer in {CHECKED_WITHIN.seconds} s"
        case NotPaid():
            return "unpaid", event.reason
        case Paid():
            return "paid", ""
        case Sold():
            return "sold", ""
        case Shipped():
            return "shipped", ""


def move(order: Order, happened: Happening, now: datetime, reason: str = "") -> Decision | None:
    """Return the order after what has happened, and the change to tell others."""
    state = MOVES[order.state].get(happened)
    if state is None:
        refusal = f"an order that is {order.state} cannot be {happened}"
        return Decision(refuse=refusal) if is_early(happened, order.state) else None
    if state == order.state:
        return Decision(order)
    moved = replace(order, state=state, step=order.step + 1, changed_at=now, reason=reason)
    return Decision(moved, emit=change(moved))


def change(order: Order) -> OrderChange:
    """Return an order as the change that other services read."""
    return msgspec.convert(order, OrderChange, from_attributes=True)
