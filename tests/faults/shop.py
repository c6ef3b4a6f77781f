"""The declarations that workers are given: customers and products that others own, and orders in both kinds of join."""

from __future__ import annotations

from tests.faults.plan import Plan

PARTITIONS = 4

TEXT = """
import os

from agents import DeadLetter, PassOn, Service, Wait
from tables import EventTopic, OwnerTopic, Row


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Product(Row):
    product_id: str
    name: str
    revision: int


class Order(Row):
    order_id: str
    customer_id: str | None
    product_id: str
    serial: int


class Enriched(Order):
    customer: Customer | None
    worker: int = 0


class Fulfilled(Order):
    product: Product | None
    worker: int = 0


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
products = OwnerTopic("{prefix}.products", Product, key="product_id", revision="revision", owner="catalogue")
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="checkout")
enriched = EventTopic("{prefix}.enriched", Enriched, key="order_id", owner="{prefix}")
fulfilled = EventTopic("{prefix}.fulfilled", Fulfilled, key="order_id", owner="{prefix}")
service = Service("{prefix}")
everywhere = service.global_table(customers)
here = service.table(products)
enrich = service.join(orders, everywhere.on("customer_id"), into=enriched, missing={missing_customer})
fulfil = service.join(orders.by("product_id"), here, into=fulfilled, missing={missing_product})
"""

# Each output says which process has made it.
SIGNED_GLOBAL = """

@enrich
def sign_enriched(order: Order, customer: Customer | None) -> Enriched:
    return Enriched(order_id=order.order_id, customer_id=order.customer_id, product_id=order.product_id,
                    serial=order.serial, customer=customer, worker=os.getpid())
"""

SIGNED_COPARTITIONED = """

@fulfil
def sign_fulfilled(order: Order, product: Product | None) -> Fulfilled:
    return Fulfilled(order_id=order.order_id, customer_id=order.customer_id, product_id=order.product_id,
                     serial=order.serial, product=product, worker=os.getpid())
"""

OWNERS = ("customers", "products")
EVENTS = ("orders", "enriched", "fulfilled")


def module(plan: Plan, prefix: str) -> str:
    """The text of the module for this plan."""
    text = TEXT + (SIGNED_GLOBAL if plan.signed[0] else "") + (SIGNED_COPARTITIONED if plan.signed[1] else "")
    names = {"prefix": prefix, "missing_customer": plan.missing[0], "missing_product": plan.missing[1]}
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text
