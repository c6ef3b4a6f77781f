"""A shop that tests drive: its topics, and services with one kind of operator or another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from larder import DeadLetter, Decision, Delete, Drop, EventTopic, OwnerTopic, Row, Service, Wait, Wake
from larder.testing import Driver
from larder.types import Near, WakeUp

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Order(Row):
    order_id: str
    customer_id: str
    amount: int = 1


class Joined(Order):
    customer: Customer | None


class Count(Row):
    customer_id: str
    orders: int
    revision: int = 0


class Address(Row):
    address_id: str
    customer_id: str | None
    revision: int


class Label(Address):
    customer: Customer


class Change(Row):
    customer_id: str
    old: str


class Device(Row):
    device: UUID


class Reading(Row):
    device: UUID


class Placed(Reading):
    device_row: Device


customers = OwnerTopic("customers", Customer, key="customer_id", revision="revision", owner="crm")
orders = EventTopic("orders", Order, key="order_id", owner="checkout")
joined = EventTopic("joined", Joined, key="order_id", owner="shop")
counts = OwnerTopic("counts", Count, key="customer_id", revision="revision", owner="shop")
addresses = OwnerTopic("addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("labels", Label, key="address_id", revision="revision", owner="shop")


def ada(revision: int = 1, name: str = "Ada") -> Customer:
    return Customer(customer_id="c1", name=name, revision=revision)


def order(name: str = "o1", customer_id: str = "c1") -> Order:
    return Order(order_id=name, customer_id=customer_id)


def joining(missing: Any = DeadLetter) -> Service:
    service = Service("shop")
    service.join(orders.by("customer_id"), service.table(customers), into=joined, missing=missing)
    return service


def waiting(seconds: float = 60, at_most: int = 100, then: Any = DeadLetter) -> Service:
    return joining(Wait(seconds=seconds, at_most=at_most).then(then))


def counting(missing: Any = Drop) -> Service:
    """Orders are joined, and the results of each customer counted, until it is forgotten."""
    service = joining(missing)

    @service.decide(joined.by("customer_id"), state=service.table(counts))
    def count(event: Joined | WakeUp, row: Count | None, near: Near) -> Decision:
        if isinstance(event, WakeUp):
            return Decision(rows=Delete(event.key))
        if near.get(service.tables[0], event.customer_id).name == "nobody":
            return Decision(refuse="nobody orders nothing")
        total = 1 + (row.orders if row else 0)
        forgotten = Wake(event.customer_id, NOON + timedelta(minutes=total))
        return Decision(rows=Count(customer_id=event.customer_id, orders=total), wake=forgotten)

    return service


def names(driver: Driver) -> list[tuple[str, str | None]]:
    """Read what was joined: the ids of orders, with the names of their customers."""
    return [(row.order_id, row.customer and row.customer.name) for row in driver.read_rows(joined)]
