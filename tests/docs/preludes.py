"""What the fragments on reference pages take for granted: the shop that they speak of."""

from typing import Final

_SHOP: Final = """
from types import SimpleNamespace
from larder import DeadLetter, Decision, EventTopic, OwnerTopic, Row, Service

class Customer(Row):
    customer_id: str
    name: str

class Product(Row):
    product_id: str
    name: str

class Order(Row):
    order_id: str
    customer_id: str
    product_id: str

class Shipment(Order):
    to: str

class Stock(Row):
    product_id: str
    left: int

shop = SimpleNamespace(
    customers=OwnerTopic("shop.customers", Customer, key="customer_id", owner="crm"),
    products=OwnerTopic("shop.products", Product, key="product_id", owner="catalogue"),
    stock=OwnerTopic("shop.stock", Stock, key="product_id", owner="stock"),
    orders=EventTopic("shop.orders", Order, key="order_id"),
    shipments=EventTopic("shop.shipments", Shipment, key="order_id"),
)
"""

_JOINS: Final = """
class Found(Order):
    product: Product

shipping = Service("shipping")
products = shipping.global_table(shop.products)
source, tables = shop.orders, products.on("product_id")
topic = EventTopic("shop.orders-with-product", Found, key="order_id")
"""

_DECIDES: Final = """
class Request(Row):
    request_id: str
    product_id: str

class Delivery(Row):
    product_id: str

class Reserved(Row):
    request_id: str

class Level(Row):
    product_id: str
    revision: int

requests = EventTopic("shop.requests", Request, key="request_id")
deliveries = EventTopic("shop.deliveries", Delivery, key="product_id")
reserved = EventTopic("shop.reserved", Reserved, key="request_id")
levels = OwnerTopic("shop.levels", Level, key="product_id", revision="revision", owner="stock")
stock = Service("stock")
held = stock.table(levels)
"""

_REQUESTS: Final = """
class NewOrder(Row):
    order_id: str

class Placed(Row):
    order_id: str

placed = EventTopic("shop.placed", Placed, key="order_id")
shop = Service("shop")
orders = shop.table(OwnerTopic("shop.placed-orders", Order, key="order_id", owner="shop"))
"""

_CALLS: Final = """
from larder.types import Attempt

class Paid(Row):
    order_id: str
    receipt: str

paid = EventTopic("shop.paid", Paid, key="order_id")
payments = Service("payments")

from agents.shipments import held as histories
from tables.mailing import Letter, Mailed, letters, mailed
mailing = Service("mailing", context="delivery")
"""

OF_PAGES: Final = {
    "docs/reference/topics-and-rows.md": _SHOP,
    "docs/how-to/choose-partitions.md": _SHOP,
    "docs/reference/joins.md": _SHOP + _JOINS,
    "docs/reference/decides.md": _SHOP + _DECIDES,
    "docs/reference/requests.md": _SHOP + _REQUESTS,
    "docs/reference/calls.md": _SHOP + _CALLS,
}
