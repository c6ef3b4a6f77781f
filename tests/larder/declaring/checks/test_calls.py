"""Calls as declared: what is refused, and what the message says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from larder import EventTopic, OwnerTopic, Retry, Row, Service
from larder.declaring.checks.declarations import problems
from larder.types import Attempt, GaveUp


class Order(Row):
    order_id: str


class Paid(Row):
    order_id: str


ORDERS = EventTopic("shop.orders", Order, key="order_id")
PAID = EventTopic("shop.paid", Paid, key="order_id")
ROWS = OwnerTopic("shop.rows", Order, key="order_id")


async def charge(order: Order, attempt: Attempt) -> Paid: ...


def charge_plainly(order: Order, attempt: Attempt) -> Paid: ...


def gave_up(order: Order, why: GaveUp) -> Paid: ...


def said_of(function: Callable[..., Any] | None = charge, source: Any = ORDERS, **options: Any) -> str:
    """Return what is wrong with a call of these options."""
    service = Service("shop")
    call = service.call(source, **{"into": PAID, **options})
    if function is not None:
        call(function)
    return "\n".join(map(str, problems([service], {})))


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (charge, {}),
        (charge, {"otherwise": gave_up, "retry": Retry(within=0), "unknown": "dead-letter", "name": "charge-2"}),
        (charge_plainly, {"threads": 4}),
        (charge, {"source": ORDERS.by("order_id")}),
    ],
)
def test_a_sound_call_is_taken(function: Callable[..., Any], options: dict[str, Any]) -> None:
    assert said_of(function, **options) == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": ROWS}, "a call requires a topic of events"),
        ({"into": ROWS}, "a call requires topics of events for what it emits; found OwnerTopic shop.rows"),
        ({"timeout": 0.0}, "timeout requires a number from 0.001 to 300; found 0"),
        ({"timeout": 301.0}, "timeout requires a number from 0.001 to 300; found 301"),
        ({"at_once": 0}, "at_once requires a number from 1 to 10000; found 0"),
        ({"at_most": 0}, "at_most requires a number from 1 to 1e+06; found 0"),
        ({"retry": Retry(first=2.0, most=1.0)}, "retry.first requires a number from 0.001 to 1; found 2"),
        ({"retry": Retry(attempts=0)}, "retry.attempts requires a number from 1 to 1e+06; found 0"),
        ({"unknown": "forget"}, 'unknown requires "retry" or "dead-letter"; found \'forget\''),
        ({"only_while": ("rows", bool)}, "only_while requires a table of its service"),
        ({"only_while": (Service("other").table(ROWS), bool)}, "only_while requires a table of its own service"),
        ({"reads": ["rows"]}, "reads requires tables as they are read over HTTP"),
        ({"name": "a.b"}, "name requires letters, digits, _ and -: its topics have it; found 'a.b'"),
        ({"otherwise": charge}, "otherwise"),
        ({"otherwise": len}, "otherwise: requires a function of the event and of why the call was given up"),
        ({"function": None}, "requires a function; found none; decorate one"),
        ({"function": charge_plainly}, "requires an async function"),
        ({"function": charge, "threads": 2}, "with threads requires a function that is written with def"),
    ],
)
def test_a_faulty_call_is_refused(options: dict[str, Any], says: str) -> None:
    assert says in said_of(**options)


async def of_nothing() -> Paid: ...


async def of_others(paid: Paid, attempt: Attempt) -> Paid: ...


async def gives_others(order: Order, attempt: Attempt) -> Order: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (of_nothing, "requires a function of the event and the attempt; found of_nothing() -> "),
        (of_others, "parameter paid"),
        (gives_others, "the result"),
    ],
)
def test_a_function_that_does_not_fit_is_refused(function: Callable[..., Any], says: str) -> None:
    assert says in said_of(function)


def test_two_calls_of_one_name_are_refused() -> None:
    service = Service("shop")
    service.call(ORDERS, into=PAID)(charge)
    service.call(ORDERS, into=PAID, name="charge")(charge_plainly)
    assert "requires a name of its own: its topics have it; found several" in "\n".join(
        map(str, problems([service], {}))
    )
