"""Stock: reserves pieces for orders, sells or releases them, and buys more when a product runs low.

Nobody tells it what to do: it follows the changes of orders.
"""

from typing import Final

from msgspec.structs import replace

from agents import outside
from larder import Decision, Retry, Service
from larder.types import Attempt
from tables.orders import Checked, OrderChange, changes
from tables.stock import Bought, Delivery, Purchase, Sold, Stock, bought, checks, levels, purchases, sold

MOST_RESERVED: Final = 1_000
"""How many orders may hold pieces of one product: all of them are in its row, which has to stay small."""

REMEMBERED: Final = 100
"""How many ended orders a row remembers, so that a change of an order that comes again counts once."""

BUYS: Final = 20
"""How many pieces more than the lowest level one purchase has."""

stock = Service("stock", context="sales")
held = stock.table(levels)


@stock.request("POST /deliveries", state=held, into=purchases)
def deliver(delivery: Delivery, level: Stock | None) -> Decision:
    """Take pieces in, and start the stock of a product with its first ones."""
    level = taken_in(level or Stock(product_id=delivery.product_id), delivery.pieces)
    return restocked(level if delivery.low is None else replace(level, low=delivery.low))


@stock.decide([changes.by("product_id"), bought], state=held, into=[checks, sold, purchases])
def keep(event: OrderChange | Bought, level: Stock | None) -> Decision | None:
    """Follow what happens to orders, and to purchases."""
    if level is None:
        # Its first delivery may be on its way. So this is no answer to the order, which does not wait for ever.
        asked = isinstance(event, Bought) or event.state == "requested"
        return Decision(refuse=f"there is no stock of {event.product_id}") if asked else None
    match event:
        case Bought():
            return arrived(event, level)
        case OrderChange(state="requested"):
            return reserve(event, level)
        case OrderChange(state="paid"):
            return sell(event, level)
        case OrderChange(state="rejected" | "cancelled"):
            return release(event, level)
    return None


def reserve(order: OrderChange, level: Stock) -> Decision | None:
    """Reserve the pieces of an order if so many are free, and answer its check."""
    if order.order_id in level.reserved or order.order_id in level.ended:
        return None
    if order.quantity > level.free or len(level.reserved) >= MOST_RESERVED:
        reason = f"{level.free} of {level.product_id} are free, and {len(level.reserved)} orders wait"
        return Decision(
            ended(level, order), emit=Checked(order_id=order.order_id, check="stock", passed=False, reason=reason)
        )
    reserved = level.reserved | {order.order_id: order.quantity}
    level = replace(level, free=level.free - order.quantity, reserved=reserved)
    return restocked(level, Checked(order_id=order.order_id, check="stock", passed=True))


def sell(order: OrderChange, level: Stock) -> Decision | None:
    """Take the pieces of a paid order from the shelf."""
    if order.order_id not in level.reserved:
        return None
    level = replace(ended(level, order), sold=level.sold + level.reserved[order.order_id])
    return Decision(level, emit=Sold(order_id=order.order_id, product_id=order.product_id, quantity=order.quantity))


def release(order: OrderChange, level: Stock) -> Decision | None:
    """Free the pieces of an order that is lost."""
    if order.order_id not in level.reserved:
        return None
    return Decision(replace(ended(level, order), free=level.free + level.reserved[order.order_id]))


def arrived(purchase: Bought, level: Stock) -> Decision:
    """Take in the pieces of the open purchase."""
    if purchase.number != level.awaits:
        return Decision(refuse=f"purchase {purchase.number} is not open")
    return restocked(replace(taken_in(level, purchase.pieces), awaits=None))


def taken_in(level: Stock, pieces: int) -> Stock:
    """Return a level with more pieces."""
    return replace(level, free=level.free + pieces, delivered=level.delivered + pieces)


def ended(level: Stock, order: OrderChange) -> Stock:
    """Return a level in which an order holds nothing any more, and will hold nothing."""
    reserved = {each: pieces for each, pieces in level.reserved.items() if each != order.order_id}
    return replace(level, reserved=reserved, ended=(*level.ended, order.order_id)[-REMEMBERED:])


def restocked(level: Stock, *answers: Checked) -> Decision:
    """Keep a level, and buy more if it is low and nothing is on its way."""
    if level.free >= level.low or level.awaits is not None:
        return Decision(level, emit=answers)
    number = level.purchases + 1
    purchase = Purchase(product_id=level.product_id, number=number, pieces=level.low + BUYS)
    return Decision(replace(level, purchases=number, awaits=number), emit=(*answers, purchase))


@stock.call(
    purchases,
    into=[bought],
    key=lambda purchase: f"{purchase.product_id}/{purchase.number}",
    timeout=5.0,
    retry=Retry(first=0.5, most=60.0, within=86_400.0),
    at_once=10,
)
async def buy(purchase: Purchase, attempt: Attempt) -> Bought:
    """Buy pieces from the supplier."""
    await outside.ask("/purchases", {"product_id": purchase.product_id, "pieces": purchase.pieces}, attempt)
    return Bought(product_id=purchase.product_id, number=purchase.number, pieces=purchase.pieces)
