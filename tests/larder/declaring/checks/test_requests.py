"""What is wrong with a request as it is declared: each mistake, by its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from larder import Decision, EventTopic, OwnerTopic, Row, Service
from larder.declaring.checks.declarations import problems
from larder.declaring.checks.requests import TAKEN
from larder.web.application import make_app
from tests.support.serving import sources


class NewOrder(Row):
    order_id: str
    amount: int


class Order(Row):
    order_id: str
    revision: int = 0


class Unkeyed(Row):
    amount: int


def place(request: NewOrder, order: Order | None) -> Decision:
    return Decision(order or Order(order_id=request.order_id))


def found(
    *addresses: str, function: Callable[..., Any] | None = place, held: str = "partition", other: bool = False
) -> str:
    service = Service("shop")
    topic = OwnerTopic("shop.orders", Order, key="order_id", revision="revision")
    state = service.table(topic) if held == "partition" else service.global_table(topic)
    if other:
        state = Service("other").table(topic)
    for address in addresses:
        declared = service.request(address, state=state)
        if function is not None:
            declared(function)
    return "\n".join(map(str, problems([service], {})))


def test_a_request_may_be_the_only_writer_of_its_state() -> None:
    assert found("POST /orders", "POST /orders/{order_id}/cancel") == ""


def test_a_request_may_share_its_state_with_a_decide() -> None:
    service = Service("shop")
    state = service.table(OwnerTopic("shop.orders", Order, key="order_id", revision="revision"))
    service.request("POST /orders", state=state)(place)
    service.decide(EventTopic("paid", NewOrder, key="order_id", owner="bank"), state=state)(place)
    assert not problems([service], {})


@pytest.mark.parametrize("address", ["/orders", "GET /orders", "POST orders", "POST /Orders", "POST /a//b", "POST /a/"])
def test_an_address_has_one_form(address: str) -> None:
    assert f"requires POST and a path as its address; found {address!r}" in found(address)


@pytest.mark.parametrize("first", ["tables", "requests", "{order_id}"])
def test_an_address_begins_with_a_word_of_its_own(first: str) -> None:
    assert "requires a path that begins with a word of its own" in found(f"POST /{first}/x")


def test_the_words_that_are_taken_are_those_of_a_worker() -> None:
    routes = make_app(sources()).router.resources()
    first = {each.canonical.split("/")[1] for each in routes} - {""}
    assert first | {"joins", "topology", "health", "metrics", "static", "requests"} == TAKEN


def test_two_requests_differ_in_their_addresses() -> None:
    both = found("POST /orders/{order_id}/pay", "POST /orders/{amount}/pay")
    assert "requires an address of its own; found several" in both


def test_a_state_is_a_table_of_the_service_itself() -> None:
    assert "a state requires a co-partitioned table of its own service" in found("POST /orders", held="global")
    assert "a state requires a co-partitioned table of its own service" in found("POST /orders", other=True)


def test_a_request_has_a_function_of_two_parameters() -> None:
    assert "requires a function; found none" in found("POST /orders", function=None)
    assert "requires a function of the request, the row, and `near`" in found("POST /orders", function=lambda: None)


def test_the_first_parameter_says_the_type_of_the_request() -> None:
    def untyped(request, order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        return Decision()

    assert "parameter request requires the type of the request" in found("POST /orders", function=untyped)


def test_a_request_says_whose_row_it_is_about() -> None:
    def unkeyed(request: Unkeyed, order: Order | None) -> Decision:  # noqa: ARG001
        return Decision()

    assert "requires the field order_id of type str" in found("POST /orders", function=unkeyed)


def test_a_part_in_braces_is_a_field() -> None:
    assert "found {colour}; rename it" in found("POST /orders/{colour}")
