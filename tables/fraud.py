"""What each customer has spent lately. The service `fraud` writes it. Money is in cents."""

from datetime import datetime

from larder import EventTopic, OwnerTopic, Row
from tables.orders import Checked


class Spent(Row):
    """The amount of one order."""

    amount: int
    at: datetime


class Spending(Row):
    """What a customer spends on the orders of the last hour, by order."""

    customer_id: str
    spent: dict[str, Spent]
    revision: int = 0


spending = OwnerTopic("finance.spending", Spending, key="customer_id", revision="revision", owner="fraud")
checks = EventTopic("finance.checks", Checked, key="order_id", owner="fraud")
