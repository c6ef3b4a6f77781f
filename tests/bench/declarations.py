"""The work of the benchmark, declared as users of Larder do, in a module of their own (`LARDER_MODULES`).

`BENCH_RUN` is the prefix of this run's topics. `BENCH_ATTEMPT` is the name of this attempt, which starts from nothing.
"""

import asyncio
import os
from datetime import datetime

from larder import DeadLetter, Decision, EventTopic, OwnerTopic, Row, Service, Wait
from larder.types import Attempt

RUN = os.environ.get("BENCH_RUN", "bench")
ATTEMPT = os.environ.get("BENCH_ATTEMPT", "attempt")


class Customer(Row):
    """Who orders."""

    customer_id: str
    name: str
    country: str
    email: str
    revision: int


class Order(Row):
    """One order of one product."""

    order_id: str
    customer_id: str
    product_id: str
    quantity: int
    amount: float
    ordered_at: datetime


class EnrichedOrder(Order):
    """An order with its customer."""

    customer: Customer


def _rows(name: str) -> OwnerTopic:
    return OwnerTopic(f"{RUN}.{name}", Customer, key="customer_id", revision="revision", owner="crm")


# Orders are joined with a global table, in any partition.
shipping = Service(f"{ATTEMPT}.global")
shipping.join(
    EventTopic(f"{RUN}.orders", Order, key="order_id"),
    shipping.global_table(_rows("customers")).on("customer_id"),
    into=EventTopic(f"{ATTEMPT}.enriched-orders", EnrichedOrder, key="order_id"),
)

# Orders in the partition of their customer are joined with that partition of the table.
fulfilment = Service(f"{ATTEMPT}.copartitioned")
fulfilment.join(
    EventTopic(f"{RUN}.orders-by-customer", Order, key="customer_id"),
    fulfilment.table(_rows("customers")).on("customer_id"),
    into=EventTopic(f"{ATTEMPT}.enriched-orders-by-customer", EnrichedOrder, key="customer_id"),
)

# The same, but orders wait for a missing customer.
failover = Service(f"{ATTEMPT}.failover")
failover.join(
    EventTopic(f"{RUN}.{os.environ.get('BENCH_ORDERS', 'orders-by-customer')}", Order, key="customer_id"),
    failover.table(_rows(os.environ.get("BENCH_ROWS", "rows"))).on("customer_id"),
    into=EventTopic(f"{ATTEMPT}.enriched-{os.environ.get('BENCH_ORDERS', '')}", EnrichedOrder, key="customer_id"),
    missing=Wait(seconds=600).then(DeadLetter),
)


class Spending(Row):
    """The total of a customer."""

    customer_id: str
    orders: int
    spent: float
    revision: int = 0


class Spent(Row):
    """The total of a customer after an order."""

    order_id: str
    customer_id: str
    orders: int
    spent: float


# Orders are added up by customer.
spending = Service(f"{ATTEMPT}.decide")
sums = spending.table(
    OwnerTopic(f"{ATTEMPT}.spending", Spending, key="customer_id", revision="revision", owner=spending.name)
)


@spending.decide(
    EventTopic(f"{RUN}.orders-by-customer", Order, key="customer_id"),
    state=sums,
    into=EventTopic(f"{ATTEMPT}.spent", Spent, key="customer_id"),
)
def spend(order: Order, before: Spending | None) -> Decision:
    """Add an order."""
    orders, spent = (before.orders, before.spent) if before else (0, 0.0)
    after = Spending(customer_id=order.customer_id, orders=orders + 1, spent=spent + order.amount)
    event = Spent(order_id=order.order_id, customer_id=order.customer_id, orders=after.orders, spent=after.spent)
    return Decision(rows=after, emit=event)


# The same, asked for over HTTP.
requesting = Service(f"{ATTEMPT}.requests")
asked = requesting.table(
    OwnerTopic(
        f"{ATTEMPT}.asked", Spending, key="customer_id", revision="revision", owner=requesting.name, partitions=4
    )
)
requesting.request("POST /orders", state=asked, into=EventTopic(f"{ATTEMPT}.asked-spent", Spent, key="customer_id"))(
    spend
)

# A join beside calls of which none ever ends in time.
calling = Service(f"{ATTEMPT}.calling")
calling.join(
    EventTopic(f"{RUN}.orders-by-customer", Order, key="customer_id"),
    calling.table(_rows("customers")).on("customer_id"),
    into=EventTopic(f"{ATTEMPT}.enriched-beside", EnrichedOrder, key="customer_id"),
)


@calling.call(EventTopic(f"{ATTEMPT}.to-call", Order, key="customer_id"), timeout=1.0)
async def hang(_: Order, __: Attempt) -> None:
    """Wait for another side that does not answer."""
    await asyncio.sleep(3600)


# A join and a decide that are scaled: each has the partitions of its source at first.
GROWING = os.environ.get("BENCH_ROWS", "rows")
growing = Service(f"{ATTEMPT}.growing")
growing.join(
    EventTopic(f"{RUN}.{GROWING}-orders", Order, key="customer_id"),
    growing.table(_rows(GROWING)).on("customer_id"),
    into=EventTopic(f"{ATTEMPT}.joined", EnrichedOrder, key="customer_id"),
)
growing.decide(
    EventTopic(f"{RUN}.{GROWING}-payments", Order, key="customer_id"),
    state=growing.table(OwnerTopic(f"{ATTEMPT}.totals", Spending, key="customer_id", revision="revision")),
    into=EventTopic(f"{ATTEMPT}.decided", Spent, key="customer_id"),
)(spend)

# Tables that are only read: a co-partitioned and a global one.
shared = Service(f"{ATTEMPT}.shared")
halves = shared.table(_rows("customers"))

lookup = Service(f"{ATTEMPT}.restore")
rows = lookup.global_table(_rows(os.environ.get("BENCH_ROWS", "rows")))
