"""Fraud: checks that a customer does not spend too much within an hour."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from larder import Decision, Delete, Service, Wake
from larder.types import WakeUp
from tables.fraud import Spending, Spent, checks, spending
from tables.orders import Checked, OrderChange, changes

WINDOW: Final = timedelta(hours=1)
LIMIT: Final = 200_000
"""Cents within the window."""

MOST_ORDERS: Final = 100
"""How many orders a customer may have within the window: all of them are in its row, which has to stay small."""

fraud = Service("fraud", context="sales")


@fraud.decide(changes.by("customer_id"), state=fraud.table(spending), into=checks)
def watch(event: OrderChange | WakeUp, row: Spending | None) -> Decision | None:
    """Check what is requested, forget what is lost, and what is older than the window."""
    spent = row.spent if row else {}
    match event:
        case WakeUp():
            return kept(event.key, within(spent, event.at))
        case OrderChange(state="requested") if event.order_id not in spent:
            return check(event, within(spent, event.placed_at))
        case OrderChange(state="rejected" | "cancelled") if event.order_id in spent:
            return kept(event.customer_id, {each: of for each, of in spent.items() if each != event.order_id})
    return None


def check(order: OrderChange, spent: Mapping[str, Spent]) -> Decision:
    """Answer the check of an order by what else its customer has spent in the window."""
    total = order.amount + sum(each.amount for each in spent.values())
    if total > LIMIT or len(spent) >= MOST_ORDERS:
        reason = f"{len(spent) + 1} orders of {total} cents within {WINDOW}"
        return Decision(emit=Checked(order_id=order.order_id, check="fraud", passed=False, reason=reason))
    spent = {**spent, order.order_id: Spent(amount=order.amount, at=order.placed_at)}
    passed = Checked(order_id=order.order_id, check="fraud", passed=True)
    return kept(order.customer_id, spent, passed)


def within(spent: Mapping[str, Spent], now: datetime) -> Mapping[str, Spent]:
    """Return what was spent in the window that ends now."""
    return {order: each for order, each in spent.items() if each.at > now - WINDOW}


def kept(customer: str, spent: Mapping[str, Spent], *answers: Checked) -> Decision:
    """Keep what a customer has spent until the oldest of it leaves the window."""
    if not spent:
        return Decision(Delete(customer), emit=answers)
    oldest = min(each.at for each in spent.values())
    row = Spending(customer_id=customer, spent=dict(spent))
    return Decision(row, emit=answers, wake=Wake(customer, oldest + WINDOW))
