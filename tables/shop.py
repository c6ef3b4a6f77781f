"""The shop: customers, products, orders, and the results of joining them."""

from datetime import datetime

from larder import EventTopic, OwnerTopic, Row


class Customer(Row):
    """A customer. The customer service (crm) publishes them."""

    customer_id: str
    name: str
    country: str
    revision: int


class Product(Row):
    """A product. The price is in the shop's currency."""

    product_id: str
    name: str
    price: float
    revision: int


class Order(Row):
    """An order of one product. The amount is quantity times price."""

    order_id: str
    customer_id: str
    product_id: str
    quantity: int
    amount: float
    ordered_at: datetime


class EnrichedOrder(Order):
    """An order with its customer and product as they were when it was joined."""

    customer: Customer
    product: Product


class Fulfilment(Order):
    """An order with its customer, or None if the customer is unknown."""

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
