"""The whole history of each order, and its parcel. The service `shipments` writes it."""

from datetime import datetime

from larder import EventTopic, OwnerTopic, Row
from tables.order_states import State


class Step(Row):
    """A state that an order has come to."""

    state: State
    at: datetime
    reason: str = ""


class History(Row):
    """All states of an order, in their order."""

    order_id: str
    product_id: str
    quantity: int
    steps: tuple[Step, ...]
    revision: int = 0


class Shipped(Row):
    """The parcel of an order is on its way."""

    order_id: str


histories = OwnerTopic("warehouse.histories", History, key="order_id", revision="revision", owner="shipments")
shipped = EventTopic("warehouse.shipped", Shipped, key="order_id", owner="shipments")
