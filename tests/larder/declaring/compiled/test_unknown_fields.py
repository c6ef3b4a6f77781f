"""A field that the type of a request does not have is refused by its place, wherever it is; every other is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, OwnerTopic, Row, Service
from larder.declaring.compiled.requests import InvalidRequestError, compile_request


class Label(Row):
    text: str = "none"


class Line(Row, omit_defaults=True, rename="camel"):
    product_id: str
    item_count: int = 1
    price_per_unit: float = msgspec.field(default=0.0, name="price")
    labels: frozenset[Label] = frozenset()


class Card(Row, tag="card", tag_field="by", omit_defaults=True):
    number: str = ""


class Transfer(Row, tag="transfer", tag_field="by"):
    number: str = ""
    name: Label = Label()


class Point(Row, array_like=True, tag=7):
    x: int
    label: Label = Label()


class Circle(Row, array_like=True, tag=8):
    label: Label
    radius: int = 1


class Place(NamedTuple):
    x: int
    label: Label


@dataclass
class Parcel:
    label: Label
    weight: int = 1


class Times(TypedDict):
    first: str
    label: NotRequired[Label]


class Wish(Row, omit_defaults=True, rename="camel"):
    order_id: str
    some_lines: tuple[Line, ...] = ()
    first_two: tuple[Line, Label] | None = None
    by_number: dict[int, Line] = msgspec.field(default_factory=dict)
    by_time: dict[datetime, list[Label]] = msgspec.field(default_factory=dict)
    by_name: dict[str, Label] = msgspec.field(default_factory=dict)
    paid_by: Card | Transfer | list[Label] | None = None
    figure: Point | Circle | dict[str, Label] | None = None
    place: Place | None = None
    parcel: Parcel | None = None
    times: Times | None = None
    anything: Any = None
    wish: Wish | None = None


class Order(Row):
    order_id: str


SERVICE = Service("shop")
REQUEST = SERVICE.request("POST /wishes", state=SERVICE.table(OwnerTopic("orders", Order, key="order_id")))


@REQUEST
def place(request: Wish, order: Order | None) -> Decision | None: ...


READ = compile_request(REQUEST).read


class Sent(NamedTuple):
    """JSON, and the objects in it to which no field may be added, by their places."""

    value: dict[str, Any]
    closed: list[tuple[str, dict[str, Any]]]


Draw = Callable[[st.SearchStrategy[Any]], Any]
Make = Callable[[str], Any]


@st.composite
def wishes(draw: Draw) -> Sent:
    """Draw a wish in JSON, with any of its fields left out or stated, also if they have their defaults."""
    closed: list[tuple[str, dict[str, Any]]] = []

    def some(at: str, **members: Make) -> dict[str, Any]:
        names = [name for name in members if draw(st.booleans())]
        found = {name: members[name](f"{at}.{name}") for name in draw(st.permutations(names))}
        closed.append((at, found))
        return found

    def also(found: dict[str, Any], **needed: Any) -> dict[str, Any]:
        found.update(needed)
        return found

    def either(*makes: Make) -> Make:
        def make(at: str) -> Any:
            return draw(st.sampled_from(makes))(at)

        return make

    def listed(make: Make) -> Make:
        return lambda at: [make(f"{at}[{number}]") for number in range(draw(st.integers(0, 2)))]

    def by(*names: str, of: Make) -> Make:
        return lambda at: {name: of(f"{at}.{name}") for name in names if draw(st.booleans())}

    def number(_: str) -> int:
        return int(draw(st.integers(0, 2)))

    def text(_: str) -> str:
        return str(draw(st.sampled_from(["", "none", "ü"])))

    def label(at: str) -> dict[str, Any]:
        return some(at, text=text)

    def line(at: str) -> dict[str, Any]:
        return also(some(at, itemCount=number, price=number, labels=listed(label)), productId="p")

    def card(at: str) -> dict[str, Any]:
        return also(some(at, number=text), by="card")

    def transfer(at: str) -> dict[str, Any]:
        return also(some(at, number=text, name=label), by="transfer")

    def point(at: str) -> list[Any]:
        return [7, 1, *([label(f"{at}[2]")] if draw(st.booleans()) else [])]

    def circle(at: str) -> list[Any]:
        return [8, label(f"{at}[1]"), *([3, {"more": 1}] if draw(st.booleans()) else [])]

    def parcel(at: str) -> dict[str, Any]:
        return also(some(at, weight=number), label=label(f"{at}.label"))

    def times(at: str) -> dict[str, Any]:
        return also(some(at, label=label), first="1")

    def wish(at: str, depth: int = 2) -> dict[str, Any]:
        deeper: dict[str, Make] = {"wish": lambda inner: wish(inner, depth - 1)} if depth else {}
        found = some(
            at,
            someLines=listed(line),
            firstTwo=lambda there: [line(f"{there}[0]"), label(f"{there}[1]")],
            byNumber=by("1", "-2", of=line),
            byTime=by(
                "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01t00:00:00.000z", of=listed(label)
            ),
            byName=by("a", "text", of=label),
            paidBy=either(card, transfer, listed(label)),
            figure=either(point, circle, by("a", "b", of=label)),
            place=lambda there: [1, label(f"{there}[1]")],
            parcel=parcel,
            times=times,
            anything=lambda _: {"a": [{"b": 1}]},
            **deeper,
        )
        return also(found, orderId="o")

    return Sent(wish("$"), closed)


@given(wishes())
def test_what_the_type_has_is_taken_however_it_is_written(sent: Sent) -> None:
    read = READ(msgspec.json.encode(sent.value), {}, None)
    assert read.event == msgspec.json.decode(msgspec.json.encode(sent.value), type=Wish)
    again = READ(read.json, {}, None)
    assert (again.event, again.digest) == (read.event, read.digest)


@given(wishes(), st.data(), st.sampled_from(["order_id", "text ", "item_count", "type", "", "1"]))
def test_what_it_does_not_have_is_refused_by_its_place(sent: Sent, data: st.DataObject, name: str) -> None:
    at, closed = data.draw(st.sampled_from(sent.closed))
    closed[name] = data.draw(st.sampled_from([None, {}, 1]))
    with pytest.raises(InvalidRequestError) as caught:
        READ(msgspec.json.encode(sent.value), {}, None)
    assert str(caught.value) == f"Wish has no field `{at}.{name}`"
