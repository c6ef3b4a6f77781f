"""Pricing: a product costs more while many pieces of it are ordered.

It came last. Nothing else knows of it, and it knows the past: it follows all changes of orders that there are.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from larder import Decision, OwnerTopic, Row, Service, Wake
from larder.types import Near, WakeUp
from tables import shop
from tables.orders import OrderChange, changes

WINDOW: Final = 60
"""How many minutes an order raises the price."""

DOUBLES_AT: Final = 100
"""With so many pieces ordered within the window the price is twice that of the catalogue, and rises no further."""


class Price(Row):
    """What a piece costs now, in cents. `ordered` counts all pieces, `recent` those of each minute in the window."""

    product_id: str
    price: int
    ordered: int
    recent: dict[int, int]
    revision: int = 0


prices = OwnerTopic("sales.prices", Price, key="product_id", revision="revision", owner="pricing")

pricing = Service("pricing", context="sales")
held = pricing.table(prices)
products = pricing.global_table(shop.products)


@pricing.decide(changes.by("product_id"), state=held)
def reprice(event: OrderChange | WakeUp, row: Price | None, near: Near) -> Decision | None:
    """Count what is ordered, and forget what has left the window."""
    ordered, recent = (row.ordered, row.recent) if row else (0, {})
    if isinstance(event, WakeUp):
        return priced(near.get(products, event.key), ordered, recent, near.now)
    if event.state != "requested":
        return None
    minute = int(event.placed_at.timestamp()) // 60
    recent = {**recent, minute: recent.get(minute, 0) + event.quantity}
    return priced(near.get(products, event.product_id), ordered + event.quantity, recent, near.now)


def priced(product: shop.Product | None, ordered: int, recent: Mapping[int, int], now: datetime) -> Decision | None:
    """Price a product by the demand within the window that ends now."""
    if product is None:
        return None
    begin = int(now.timestamp()) // 60 - WINDOW
    recent = {minute: pieces for minute, pieces in recent.items() if minute > begin}
    raised = 100 + 100 * min(sum(recent.values()), DOUBLES_AT) // DOUBLES_AT
    price = Price(product_id=product.product_id, price=round(product.price * raised), ordered=ordered, recent=recent)
    end = [Wake(product.product_id, datetime.fromtimestamp((min(recent) + WINDOW) * 60, UTC))] if recent else ()
    return Decision(price, wake=end)
