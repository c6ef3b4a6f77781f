"""Mailing: writes to each customer once for each order, when it is settled."""

from typing import Final

from agents import outside
from agents.shipments import held as histories
from larder import PassOn, Retry, Service, Wait
from larder.types import Attempt
from tables import shop
from tables.mailing import Letter, Mailed, letters, mailed
from tables.orders import OrderChange, changes
from tables.shipments import History

TEXTS: Final = {
    "confirmed": "your order {order} of {pieces} {product} is confirmed.",
    "rejected": "we cannot take your order {order} of {pieces} {product} ({reason}).",
    "cancelled": "your order {order} of {pieces} {product} is cancelled ({reason}).",
}
"""What is written when an order comes to a state. Each order comes to exactly one of them."""

mailing = Service("mailing", context="delivery")
customers = mailing.global_table(shop.customers)


@mailing.join(changes, customers.on("customer_id"), into=letters, missing=Wait(seconds=10).then(PassOn))
def letter(order: OrderChange, customer: shop.Customer | None) -> Letter | None:
    """Write to a customer by name, or without if it is still unknown."""
    if order.state not in TEXTS:
        return None
    text = TEXTS[order.state].format(
        order=order.order_id, pieces=order.quantity, product=order.product_id, reason=order.reason
    )
    name = customer.name if customer else "customer"
    return Letter(order_id=order.order_id, customer_id=order.customer_id, text=f"Dear {name}, {text}")


@mailing.call(
    letters,
    into=[mailed],
    key=lambda mail: mail.order_id,
    timeout=5.0,
    retry=Retry(first=1.0, most=60.0, within=86_400.0),
    at_once=10,
    reads=[histories.remote(timeout=0.3)],
)
async def send(mail: Letter, attempt: Attempt) -> Mailed:
    """Hand a mail to the mail server, which takes one for each key.

    A mail that had to wait for the server says whether the parcel has left meanwhile, if shipments answers.
    """
    history: History | None = await attempt.get(histories, mail.order_id, otherwise=None)
    has_left = history is not None and any(step.state == "shipped" for step in history.steps)
    text = f"{mail.text} Your parcel is on its way." if has_left else mail.text
    await outside.ask("/mails", {"to": mail.customer_id, "text": text}, attempt)
    return Mailed(order_id=mail.order_id, customer_id=mail.customer_id)
