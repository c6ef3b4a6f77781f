"""Shipments: keeps the whole history of each order, and sends its parcel once it is confirmed."""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from larder import Decision, Service, Wake
from larder.types import Near, WakeUp
from tables.orders import OrderChange, changes
from tables.shipments import History, Shipped, Step, histories, shipped

PACKING: Final = timedelta(seconds=1)

shipments = Service("shipments", context="delivery")
held = shipments.table(histories)


@shipments.decide(changes, state=held, into=shipped)
def follow(event: OrderChange | WakeUp, history: History | None, near: Near) -> Decision | None:
    """Write down each change of an order once, and send its parcel after some time of packing."""
    if isinstance(event, WakeUp):
        return Decision(emit=Shipped(order_id=event.key))
    history = history or started(event)
    if any(each.state == event.state for each in history.steps):
        return None
    step = Step(state=event.state, at=event.changed_at, reason=event.reason)
    packed = [Wake(event.order_id, near.now + PACKING)] if event.state == "confirmed" else ()
    return Decision(replace(history, steps=(*history.steps, step)), wake=packed)


def started(order: OrderChange) -> History:
    """Return the history of an order before its first step."""
    return History(order_id=order.order_id, product_id=order.product_id, quantity=order.quantity, steps=())
