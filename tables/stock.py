"""The stock of each product, what becomes of it, and what is bought. The service `stock` writes all of it."""

from typing import Annotated

from msgspec import Meta, field

from larder import EventTopic, OwnerTopic, Row
from tables.orders import Checked


class Delivery(Row):
    """Pieces that come in. With `low`, more are bought from then on as soon as fewer are free."""

    product_id: str
    pieces: Annotated[int, Meta(ge=1)]
    low: Annotated[int, Meta(ge=0)] | None = None


class Stock(Row):
    """The pieces of a product. Each one that was delivered is free, reserved or sold.

    `reserved` has the pieces by order, `ended` the last orders that hold none any more. Purchases are numbered, and
    `awaits` is the number of the one that has not been delivered yet.
    """

    product_id: str
    free: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    sold: int = 0
    delivered: int = 0
    ended: tuple[str, ...] = ()
    low: int = 0
    purchases: int = 0
    awaits: int | None = None
    revision: int = 0


class Sold(Row):
    """The pieces of a paid order have left the shelf."""

    order_id: str
    product_id: str
    quantity: int


class Purchase(Row):
    """Pieces that are to be bought from the supplier."""

    product_id: str
    number: int
    pieces: int


class Bought(Purchase):
    """Pieces that the supplier has delivered."""


levels = OwnerTopic("warehouse.stock", Stock, key="product_id", revision="revision", owner="stock")
checks = EventTopic("warehouse.checks", Checked, key="order_id", owner="stock")
sold = EventTopic("warehouse.sold", Sold, key="order_id", owner="stock")
purchases = EventTopic("warehouse.purchases", Purchase, key="product_id", owner="stock")
bought = EventTopic("warehouse.bought", Bought, key="product_id", owner="stock")
