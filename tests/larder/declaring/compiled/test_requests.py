"""What a client sends is read strictly: every field is known, and of its type."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, OwnerTopic, Row, Service
from larder.declaring.compiled.requests import InvalidRequestError, compile_request


class Line(Row):
    product: str
    count: int = 1


class NewOrder(Row):
    order_id: str
    lines: list[Line] = []
    note: str | None = None


class Order(Row):
    order_id: str


SERVICE = Service("shop")
REQUEST = SERVICE.request("POST /orders", state=SERVICE.table(OwnerTopic("orders", Order, key="order_id")))


@REQUEST
def place(request: NewOrder, order: Order | None) -> Decision:
    return Decision(order or Order(order_id=request.order_id))


COMPILED = compile_request(REQUEST)


def refusal(body: bytes, path: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        COMPILED.read(body, path or {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"3", "no JSON object, but a int"),
        (b"{}", "missing required field `order_id`"),
        (b'{"order_id": 1}', "$.order_id"),
        (b'{"order_id": "o", "color": 1}', "NewOrder has no field `$.color`"),
        (b'{"order_id": "o", "lines": [{"product": "p"}, {"product": "p", "cuont": 2}]}', "`$.lines[1].cuont`"),
    ],
)
def test_a_body_that_is_not_a_request_is_refused_by_the_name_of_its_field(body: bytes, part: str) -> None:
    assert part in refusal(body)


def test_a_field_may_be_in_the_path_and_has_one_value() -> None:
    read = COMPILED.read(b"", {"order_id": "o1"})
    assert (read.key, read.event) == (b"o1", NewOrder(order_id="o1"))
    assert COMPILED.read(b'{"order_id": "o1"}', {"order_id": "o1"}).event == read.event
    assert "`$.order_id` differs from the path" in refusal(b'{"order_id": "o2"}', {"order_id": "o1"})


@given(st.builds(NewOrder, order_id=st.text(min_size=1), lines=st.lists(st.builds(Line, product=st.text()))))
def test_what_is_decided_on_is_what_was_sent(order: NewOrder) -> None:
    sent = msgspec.json.encode(order)
    read = COMPILED.read(sent, {})
    assert read.event == order
    assert msgspec.json.decode(read.json, type=NewOrder) == order
    assert read.key == order.order_id.encode()
