"""Which topics belong to calls that a service does not declare."""

from __future__ import annotations

from larder import EventTopic, Row, Service
from larder.types import Attempt
from larder.worker.left_calls import undeclared_calls


class Order(Row):
    order_id: str


def test_topics_of_calls_that_are_declared_or_of_other_services_are_none() -> None:
    shop = Service("shop")

    @shop.call(EventTopic("shop.orders", Order, key="order_id"), name="charge")
    async def take_money(order: Order, attempt: Attempt) -> None: ...

    topics = ["shop.charge.calls", "shop.charge.calls.g2", "shop.payments.charge.calls", "shopping.mail.calls"]
    assert undeclared_calls(shop, [*topics, "shop.mail.outcomes", "xshop.mail.calls", "shop.calls"]) == {}


def test_the_newest_generation_of_a_call_that_is_not_declared_counts() -> None:
    topics = ["shop.mail.calls.g2", "shop.mail.calls.g10", "shop.mail.calls", "shop.void.calls"]
    assert undeclared_calls(Service("shop"), topics) == {"mail": "shop.mail.calls.g10", "void": "shop.void.calls"}
