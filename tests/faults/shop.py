"""The declarations of the shop: customers and products of other owners, and orders in both kinds of join."""

from __future__ import annotations

from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.shop_judging import violations
from tests.faults.shop_load import keys, load

TEXT = """
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
everywhere = service.global_table(customers)
here = service.table(products)
enrich = service.join(orders, everywhere.on("customer_id"), into=enriched, missing={missing_customer})
fulfil = service.join(orders.by("product_id"), here, into=fulfilled, missing={missing_product})
"""

# Each output names the process that made it.
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


def text(plan: Plan) -> str:
    """Return the declarations for this plan."""
    whole = TEXT + (SIGNED_GLOBAL if plan.signed[0] else "") + (SIGNED_COPARTITIONED if plan.signed[1] else "")
    return whole.replace("{missing_customer}", plan.missing[0]).replace("{missing_product}", plan.missing[1])


SHOP = Part(
    text=text,
    load=load,
    judge=violations,
    events=["orders"],
    results=["enriched", "fulfilled"],
    inputs=["orders", "{prefix}.orders.by.product_id"],
    followed=["customers", "products"],
    asked={"customers": keys("c"), "products": keys("p")},
)
