"""The state of each order and nothing else, for whoever has to show it. The service `booking` writes it."""

from larder import OwnerTopic, Row
from tables.order_states import State


class Status(Row):
    """The state of an order after so many steps."""

    order_id: str
    state: State
    step: int
    revision: int = 0


statuses = OwnerTopic("sales.statuses", Status, key="order_id", revision="revision", owner="booking")
