"""The money of orders, in cents. The service `payments` writes all of it."""

from larder import EventTopic, Row


class Charge(Row):
    """Money that is to be charged for an order."""

    order_id: str
    customer_id: str
    amount: int


class Void(Row):
    """An order for which no money is to be kept, whether or not it was charged."""

    order_id: str


class Paid(Row):
    """The provider has charged the money."""

    order_id: str
    amount: int
    charge_id: str


class NotPaid(Row):
    """The provider has refused to charge the money, or could not be asked."""

    order_id: str
    reason: str


class Voided(Row):
    """The provider keeps no money for an order; it has given back as much as it had."""

    order_id: str
    returned: int


charges = EventTopic("finance.charges", Charge, key="order_id", owner="payments")
voids = EventTopic("finance.voids", Void, key="order_id", owner="payments")
paid = EventTopic("finance.paid", Paid, key="order_id", owner="payments")
not_paid = EventTopic("finance.not-paid", NotPaid, key="order_id", owner="payments")
voided = EventTopic("finance.voided", Voided, key="order_id", owner="payments")
