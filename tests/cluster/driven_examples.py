"""Examples for a driver and a worker: a service with every kind of operator, and random steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

# Every kind of operator, and every policy for a missing partner.
SERVICE = """
from datetime import datetime

from larder import (
    DeadLetter, Decision, Delete, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait, Wake
)
from larder.types import Near, Unknown, WakeUp


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Product(Row):
    product_id: str
    price: int


class Order(Row):
    order_id: str
    customer_id: str | None
    product_id: str
    wake: datetime | None = None


class Sold(Order):
    customer: Customer | None
    product: Product | None


class Address(Row):
    address_id: str
    customer_id: str | None
    revision: int


class Label(Address):
    customer: Customer


class Spent(Row):
    customer_id: str
    total: int
    revision: int = 0


class Thanks(Row):
    customer_id: str
    total: int


class Credit(Row):
    customer_id: str
    amount: int
    wake: datetime | None = None


class Renamed(Row):
    customer_id: str
    old: str
    new: str


class Mails(Row):
    customer_id: str
    count: int
    revision: int = 0


def owner(name: str, row: type[Row], key: str, revision: str | None = "revision", by: str = "{prefix}") -> OwnerTopic:
    return OwnerTopic("{prefix}." + name, row, key=key, revision=revision, owner=by)


def events(name: str, row: type[Row], key: str, by: str = "{prefix}") -> EventTopic:
    return EventTopic("{prefix}." + name, row, key=key, owner=by)


service = Service("{prefix}", headers=["tenant"])
customers = service.table(owner("customers", Customer, "customer_id", by="crm"))
products = service.global_table(owner("products", Product, "product_id", None, by="catalogue"))
orders = events("orders", Order, "order_id", by="checkout").by("customer_id")
addresses = owner("addresses", Address, "address_id", by="crm")
labels = service.table(owner("labels", Label, "address_id"))
spent = service.table(owner("spent", Spent, "customer_id"))
mails = service.table(owner("mails", Mails, "customer_id"))
thanks = events("thanks", Thanks, "customer_id")
renamed = events("renamed", Renamed, "customer_id")

both = [customers.on("customer_id"), products.on("product_id")]
service.join(orders, both, into=events("passed", Sold, "order_id"), missing=PassOn)
service.join(orders, both, into=events("patient", Sold, "order_id"), missing=Wait(seconds=3600).then(Drop))
service.join(orders, both, into=events("hasty", Sold, "order_id"), missing=Wait(seconds=0.05).then(DeadLetter))
service.join(addresses.by("customer_id"), customers, into=labels.topic, missing=Wait(seconds=3600).then(Drop))


@service.join(orders, products.on("product_id"), into=events("priced", Order, "order_id"), missing=Drop)
def price(order: Order, product: Product) -> Order | None:
    if product.price == 13:
        raise ValueError("nobody buys at that price")
    return None if product.price == 0 else order


@service.decide(orders, state=spent, into=thanks)
def spend(event: Order | WakeUp, row: Spent | None, near: Near) -> Decision | None:
    if isinstance(event, WakeUp):
        if row is None or row.total % 2:
            return Decision(rows=Delete(event.key), emit=Thanks(customer_id=event.key, total=0))
        raise LookupError("an even total is not forgotten")
    product = near.get(products, event.product_id)
    if product is None:
        return Decision(refuse="it has no price")
    total = product.price + (row.total if row else 0)
    wake = () if event.wake is None else Wake(event.customer_id, event.wake)
    gone = product.price == 0
    return Decision(
        rows=Delete(event.customer_id) if gone else Spent(customer_id=event.customer_id, total=total),
        emit=[Thanks(customer_id=event.customer_id, total=total)],
        wake=wake,
    )


@service.request("POST /customers/{customer_id}/credit", state=spent, into=thanks)
def credit(request: Credit, row: Spent | None) -> Decision | None:
    key, total = request.customer_id, request.amount + (row.total if row else 0)
    if request.amount == 13:
        raise ValueError("nobody gives as much")
    if request.amount < 0:
        return Decision(refuse="it is less than nothing")
    if request.amount == 0:
        return Decision(rows=Delete(key)) if row else None
    wake = () if request.wake is None else Wake(key, request.wake)
    return Decision(Spent(customer_id=key, total=total), emit=Thanks(customer_id=key, total=total), wake=wake)


@service.on_change(customers, into=renamed)
def rename(old: Customer | Unknown | None, new: Customer | None) -> Renamed | None:
    before, after = ("unknown" if isinstance(each, Unknown) else each.name if each else "-" for each in (old, new))
    if after == "nobody":
        raise ValueError("nobody is no name")
    key = new or old
    return None if isinstance(key, Unknown) else Renamed(customer_id=key.customer_id, old=before, new=after)


@service.fold([thanks, renamed], state=mails)
def mail(event: Thanks | Renamed, row: Mails | None) -> Mails:
    return Mails(customer_id=event.customer_id, count=1 + (row.count if row else 0))
"""


class Asked(NamedTuple):
    """A request to send: its address, its body, its `Idempotency-Key`, its other headers."""

    address: str
    body: Any
    once: str | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Input(NamedTuple):
    """A record to send; the name of its topic has no prefix."""

    topic: str
    key: str
    value: Any
    headers: tuple[tuple[str, bytes | None], ...] = ()


def example(chance: random.Random, name: str, steps: int) -> Iterable[Input | Asked]:
    """Yield the steps of one example: its own two customers, products, orders and addresses, and invalid records."""
    kinds: list[Callable[[random.Random, str], Input | Asked]] = [_customer, _product, _order, _address, _credit]
    for number in range(steps):
        step = chance.choices(kinds, [3, 2, 5, 3, 5])[0](chance, name)
        yield step._replace(headers=(*step.headers, *_carried(chance, number)))


def _carried(chance: random.Random, number: int) -> tuple[tuple[str, bytes | None], ...]:
    """Return a trace of the step, headers that go along, and one that does not."""
    trace = ("traceparent", b"00-%032x-%016x-01" % (number + 1, 1))
    return chance.choice([(), (trace,), (("tenant", b"t%d" % number), ("other", b"stays")), (trace, ("tenant", None))])


def _credit(chance: random.Random, name: str) -> Asked:
    key = f"{name}-c{chance.randrange(2)}"
    soon = datetime.now(UTC) + chance.choice([-timedelta(hours=1), timedelta(days=1)])
    bodies: list[Any] = [{"amount": amount} for amount in (0, 1, 1, 2, 2, 2, 13, -1)]
    bodies += [{"customer_id": key, "amount": 2}, {"amount": 1, "wake": soon}]
    bodies += [{"customer_id": "other", "amount": 2}, {}, {"amount": "1"}, {"amount": 1, "sum": 1}, b"{", b"[]"]
    body = chance.choice([*bodies, {"amount": 2}, {"amount": 2}, {"amount": -1}, {"amount": -1}])
    of_amount = f"{name}-once-{body.get('amount') if isinstance(body, dict) else None}-0123456789"
    once = chance.choice([None, of_amount, of_amount, f"{name}-any-0123456789", "short"])
    return Asked(f"POST /customers/{key}/credit", body, once)


def _customer(chance: random.Random, name: str) -> Input:
    key = f"{name}-c{chance.randrange(2)}"
    if chance.random() < 0.25:
        return Input("customers", key, None, _revision(chance))
    row = {"customer_id": key, "name": chance.choice(["Ada", "Bob", "nobody"]), "revision": chance.randrange(1, 6)}
    return Input("customers", key, chance.choice([row] * 6 + [b"{}", b"[", {**row, "customer_id": "other"}]))


def _product(chance: random.Random, name: str) -> Input:
    key = f"{name}-p{chance.randrange(2)}"
    row = {"product_id": key, "price": chance.choice([0, 1, 2, 13])}
    return Input("products", key, chance.choice([row] * 4 + [None]))


def _order(chance: random.Random, name: str) -> Input:
    key = f"{name}-o{chance.randrange(3)}"
    soon = datetime.now(UTC) + chance.choice([-timedelta(hours=1), timedelta(days=1)])
    row = {
        "order_id": key,
        "customer_id": chance.choice([f"{name}-c0", f"{name}-c1", f"{name}-c2"]),
        "product_id": chance.choice([f"{name}-p0", f"{name}-p1"]),
        "wake": chance.choice([None, None, soon]),
    }
    return Input(
        "orders", key, chance.choice([row] * 12 + [{**row, "customer_id": None}, {"order_id": key}, b"{", None])
    )


def _address(chance: random.Random, name: str) -> Input:
    key = f"{name}-a{chance.randrange(2)}"
    if chance.random() < 0.2:
        return Input("addresses", key, None, _revision(chance))
    customer = chance.choice([f"{name}-c0", f"{name}-c0", f"{name}-c1", None])
    return Input("addresses", key, {"address_id": key, "customer_id": customer, "revision": chance.randrange(1, 8)})


def _revision(chance: random.Random) -> tuple[tuple[str, bytes | None], ...]:
    return chance.choice([(), (("larder.revision", b"%d" % chance.randrange(1, 6)),)])
