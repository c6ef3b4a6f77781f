"""Contexts: which services may read one another's tables over HTTP, and what is wrong with such reads as declared."""

from __future__ import annotations

from typing import Any

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.declaring.checks.declarations import problems
from larder.declaring.contexts import ForeignTopic, RemoteRead, contexts
from larder.types import Attempt


class Letter(Row):
    order_id: str


class Order(Row):
    order_id: str
    state: str


ORDERS = OwnerTopic("shop.orders", Order, key="order_id", owner="crm")
LETTERS = EventTopic("shop.letters", Letter, key="order_id")


def declared(
    reader: str | None, owner: str | None, *, timeout: float = 0.3, times: int = 1, **options: Any
) -> tuple[Service, Service]:
    """Return a service with a call that reads a table of another one."""
    shop, mailing = Service("shop", context=owner), Service("mailing", context=reader)
    orders = shop.table(ORDERS)

    async def send(letter: Letter, attempt: Attempt) -> None:
        await attempt.get(orders, letter.order_id)

    def send_plainly(letter: Letter, attempt: Attempt) -> None: ...

    call = mailing.call(LETTERS, reads=[orders.remote(timeout=timeout)] * times, **options)
    call(send_plainly if options.get("threads") else send)
    return mailing, shop


def found(*services: Service) -> str:
    return "\n".join(map(str, problems(services, {})))


def test_a_call_may_read_tables_of_its_context() -> None:
    assert not found(*declared("sales", "sales"))


def test_a_call_may_read_the_tables_of_its_own_service() -> None:
    service = Service("shop")
    orders = service.table(ORDERS)

    @service.call(LETTERS, reads=[orders.remote()])
    async def send(letter: Letter, attempt: Attempt) -> None: ...

    assert not found(service)


@pytest.mark.scenario("3.8")
@pytest.mark.parametrize(
    ("reader", "owner", "told"),
    [
        ("sales", "money", "mailing in context sales, and shop in context money"),
        ("sales", None, "mailing in context sales, and shop in no context"),
        (None, None, "mailing in no context, and shop in no context"),
    ],
)
def test_a_read_across_contexts_is_refused_by_name(reader: str | None, owner: str | None, told: str) -> None:
    for services in (declared(reader, owner), declared(reader, owner)[:1]):
        text = found(*services)
        assert "call send, which reads shop.orders of service shop: " in text
        assert f"found {told}" in text
        assert "keep the rows: mailing.global_table(...)" in text


@pytest.mark.parametrize("timeout", [0, -1, 11])
def test_a_read_takes_no_longer_than_its_call(timeout: float) -> None:
    text = found(*declared("sales", "sales", timeout=timeout))
    assert f"requires more than 0 s, and at most the 10 s of the call; found {timeout:g} s for shop.orders" in text


def test_a_table_is_named_once() -> None:
    assert "reads requires each table once; found 2 times shop.orders of shop" in found(
        *declared("sales", "sales", times=2)
    )


def test_only_async_functions_read() -> None:
    assert "with reads requires an async function" in found(*declared("sales", "sales", threads=2))


def test_a_table_itself_is_not_what_is_read_over_http() -> None:
    service, shop = Service("mailing", context="sales"), Service("shop", context="sales")
    service.call(LETTERS, reads=[shop.table(ORDERS)])  # type: ignore[list-item]
    assert "reads requires tables as they are read over HTTP; found TableUse shop.orders" in found(service)


def test_the_name_of_a_context_is_a_word() -> None:
    assert "context of service shop: a name requires 1 to 100 of the characters a-z A-Z 0-9 . _ -" in found(
        Service("shop", context="../sales")
    )


def test_contexts_say_what_is_read_of_others() -> None:
    mailing, shop = declared("sales", "sales")
    audit, crm = Service("audit", context="control"), Service("crm")
    audit.global_table(ORDERS)
    crm.join(LETTERS, crm.global_table(OwnerTopic("x", Order, key="order_id")).on("order_id"), into=ORDERS)
    control, sales, none = contexts([mailing, shop, audit, crm])
    assert (control.name, control.services, control.reads) == ("control", ["audit"], [])
    assert control.topics == [ForeignTopic("shop.orders", "crm", None, ["audit"])]
    assert (sales.name, sales.services) == ("sales", ["mailing", "shop"])
    assert sales.reads == [RemoteRead("mailing", "send", "shop.orders", "shop")]
    assert sales.topics == [
        ForeignTopic("shop.letters", "", None, ["mailing"]),
        ForeignTopic("shop.orders", "crm", None, ["shop"]),
    ]
    assert (none.name, none.services) == (None, ["crm"])
