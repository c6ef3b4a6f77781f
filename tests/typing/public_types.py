"""Public types, as a type checker understands them; `mypy --strict` reads this file, and nothing runs it."""

from typing import assert_type

from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service, Wait
from larder.types import Unknown


class Customer(Row):
    customer_id: str
    revision: int
    name: str | None = None


class Order(Row):
    order_id: str
    customer_id: str


customers = OwnerTopic("t.customers", Customer, key="customer_id", revision="revision", owner="crm")
levels = OwnerTopic("t.levels", Customer, key="customer_id")
orders = EventTopic("t.orders", Order, key="order_id")
results = EventTopic("t.results", Order, key="order_id")

service = Service("t")
held = service.table(customers)
own = service.table(levels)

ada = Customer(customer_id="c1", revision=1)
order = Order(order_id="o1", customer_id="c1")


@service.join(orders.by("customer_id"), held, into=results, missing=Wait(seconds=1))
def joined(order: Order, customer: Customer) -> Order | None: ...


@service.decide(orders.by("customer_id"), state=own)
def decided(order: Order, customer: Customer | None) -> Decision | None: ...


@service.fold(orders.by("customer_id"), state=own)
def folded(order: Order, customer: Customer | None) -> Customer | Delete | None: ...


@service.on_change(held, into=results)
def reacted(old: Customer | Unknown | None, new: Customer | None) -> Order | None: ...


assert_type(joined(order, ada), Order | None)
assert_type(decided(order, None), Decision | None)
assert_type(folded(order, ada), Customer | Delete | None)
assert_type(reacted(None, ada), Order | None)
assert_type(ada.name, str | None)

# Strict checking reports an unused ignore, so that each of these has to be an error.
joined(ada, order)  # type: ignore[arg-type]
Customer(customer_id=1, revision=1)  # type: ignore[arg-type]
ada.name = "Ada"  # type: ignore[misc]
EventTopic("t.more", str, key="order_id")  # type: ignore[arg-type]
