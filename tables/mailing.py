"""The mails that customers get. The service `mailing` writes all of it."""

from larder import EventTopic, Row


class Letter(Row):
    """A mail that is to be sent: one for each order, once it is settled."""

    order_id: str
    customer_id: str
    text: str


class Mailed(Row):
    """A mail that the mail server has taken."""

    order_id: str
    customer_id: str


letters = EventTopic("sales.letters", Letter, key="order_id", owner="mailing")
mailed = EventTopic("sales.mailed", Mailed, key="order_id", owner="mailing")
