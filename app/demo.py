"""The demo of the shop: what `larder demo` publishes, runs and counts."""

from random import Random

from app.events import Shop
from larder.demo import Beside, Demo, History, Program
from tables import shop


def open_shop(history: History) -> Shop:
    """Continue with the customers and the number of orders that earlier demos published."""
    customers = [row for row in history.rows[shop.customers] if isinstance(row, shop.Customer)]
    return Shop(Random(), customers, history.events)  # noqa: S311 - a game


demo = Demo(
    generator=open_shop,
    rows=[shop.customers, shop.products],
    events=shop.orders,
    outputs={"enriched": shop.enriched_orders, "fulfilled": shop.fulfilments},
    workers={"shipping": 2, "fulfilment": 1},
    look_up=(shop.customers, "c00001"),
    beside=Beside(
        workers=["orders", "stock", "fraud", "payments", "shipments", "booking", "mailing", "pricing"],
        programs=[
            Program("outside", "app.outside"),
            Program("counter", "app.counter", page="place an order, and watch it"),
        ],
    ),
)
