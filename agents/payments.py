"""Payments: has each valid order charged by the provider, and gives the money back if the order is lost.

The provider may be slow, away, or lose its answers. It acts once for each order, whose id is the key of both calls. It
refuses to charge what was voided before, so that a charge that comes late takes no money.
"""

from http import HTTPStatus

from agents import outside
from larder import Retry, Service
from larder.types import UNKNOWN, Attempt, GaveUp, Unknown
from tables.orders import Order, orders
from tables.payments import Charge, NotPaid, Paid, Void, Voided, charges, not_paid, paid, voided, voids

payments = Service("payments", context="sales")
orders_here = payments.table(orders)


@payments.on_change(orders_here, into=[charges, voids])
def owed(old: Order | Unknown | None, new: Order | None) -> Charge | Void | None:
    """Return what is to be asked of the provider. An order is lost after it was valid: it may have been charged."""
    if new is None:
        return None
    if new.state == "validated":
        return Charge(order_id=new.order_id, customer_id=new.customer_id, amount=new.amount)
    if new.state in {"rejected", "cancelled"} and (old is UNKNOWN or (old is not None and old.state == "validated")):
        return Void(order_id=new.order_id)
    return None


def gave_up(wanted: Charge, given_up: GaveUp) -> NotPaid:
    """Say that an order is not paid, since the provider did not answer. What it may have charged is then voided."""
    return NotPaid(order_id=wanted.order_id, reason=f"no payment after {given_up.attempts} attempts")


@payments.call(
    charges,
    into=[paid, not_paid],
    key=lambda wanted: wanted.order_id,
    timeout=2.0,
    retry=Retry(first=0.5, most=60.0, within=600.0),
    at_once=50,
    only_while=(orders_here, lambda order: order.state == "validated"),
    otherwise=gave_up,
)
async def charge(wanted: Charge, attempt: Attempt) -> Paid | NotPaid:
    """Have the money of an order charged."""
    body = {"customer_id": wanted.customer_id, "amount": wanted.amount}
    answer = await outside.ask("/charges", body, attempt, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.GONE)
    if answer.status != HTTPStatus.OK:
        return NotPaid(order_id=wanted.order_id, reason=answer.body["reason"])
    return Paid(order_id=wanted.order_id, amount=wanted.amount, charge_id=answer.body["charge_id"])


@payments.call(
    voids,
    into=[voided],
    key=lambda unwanted: unwanted.order_id,
    timeout=2.0,
    retry=Retry(first=0.5, most=60.0, within=86_400.0),
    at_once=50,
)
async def void(unwanted: Void, attempt: Attempt) -> Voided:
    """Have the charge of an order voided, if there is one, and refused if it is yet to come."""
    answer = await outside.ask("/voids", {}, attempt)
    return Voided(order_id=unwanted.order_id, returned=answer.body["returned"])
