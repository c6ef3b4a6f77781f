"""What is wrong with a predicate as it is declared: each mistake, by its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from larder import OwnerTopic, Row, Service
from larder.declaring.checks.declarations import problems


class Order(Row):
    order_id: str
    state: str


class Other(Row):
    order_id: str


ORDERS = OwnerTopic("shop.orders", Order, key="order_id")


def settled(order: Order) -> bool:
    return order.state == "settled"


def found(*functions: Callable[..., Any] | None, elsewhere: bool = False) -> str:
    service = Service("shop")
    table = service.table(ORDERS)
    table = Service("other").table(ORDERS) if elsewhere else table
    for function in functions:
        declared = service.predicate(table)
        if function is not None:
            declared(function)
    return "\n".join(map(str, problems([service], {})))


def test_a_predicate_is_a_function_of_a_row() -> None:
    assert found(settled) == ""


async def waiting(order: Order) -> bool:
    return bool(order)


def of_two(order: Order, other: Order) -> bool:
    return order == other


def of_another(order: Other) -> bool:
    return bool(order)


def of_text(order: Order) -> str:
    return order.state


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (None, "requires a function with a name"),
        (lambda order: order.state, "requires a function with a name"),
        (waiting, "pure function"),
        (of_two, "requires a function of the row"),
        (of_another, "parameter order requires the type Order"),
        (of_text, "the result requires the type bool"),
    ],
)
def test_another_function_is_a_problem(function: Callable[..., Any] | None, part: str) -> None:
    assert part in found(function)


def test_two_predicates_of_a_table_have_two_names() -> None:
    assert "requires a name of its own" in found(settled, settled)


def test_a_table_of_another_service_is_a_problem() -> None:
    assert "requires a table of service shop" in found(settled, elsewhere=True)
