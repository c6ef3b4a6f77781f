"""The shop: customers and products, orders, and what is made of them."""

from datetime import datetime

from larder import EventTopic, OwnerTopic, Row


class Customer(Row):
    """Who orders; published by the customer service (crm)."""

    customer_id: str
    name: str
    country: str
    revision: int


class Product(Row):
    """What is ordered; the price is in the shop's currency."""

    product_id: str
    name: str
    price: float
    revision: int


class Order(Row):
    """One order of one product; the amount is quantity times price."""

    order_id: str
    customer_id: str
    product_id: str
    quantity: int
    amount: float
    ordered_at: datetime


class EnrichedOrder(Order):
    """An order with its customer and its product as they were when it was joined."""

    customer: Customer
    product: Product


class Fulfilment(Order):
    """An order with its customer, or without one that is not known."""

    customer: Customer | None


customers = OwnerTopic(
    "shop.customers",
    Customer,
    key="customer_id",
    revision="revision",
    owner="crm",
    indexes=["country"],
)
products = OwnerTopic(
    "shop.products",
    Product,
    key="product_id",
    revision="revision",
    owner="catalogue",
)
orders = EventTopic("shop.orders", Order, key="order_id", owner="checkout")
enriched_orders = EventTopic(
    "shop.enriched-orders",
    EnrichedOrder,
    key="order_id",
    owner="shipping",
)
fulfilments = EventTopic(
    "shop.fulfilments",
    Fulfilment,
    key="order_id",
    owner="fulfilment",
)
