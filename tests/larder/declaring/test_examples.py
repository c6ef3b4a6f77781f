"""Examples of requests: each required field once, to fill in."""

from __future__ import annotations

import enum

import msgspec

from larder import Row
from larder.declaring.examples import example


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(Row):
    street: str


class Part(Row):
    part_id: str
    after: Part | None


class Place(Row):
    order_id: str
    colour: Colour
    many: int
    price: float | None
    gift: bool
    address: Address
    parts: list[Part]
    buyer: str = msgspec.field(name="buyerName")
    note: str = ""


def test_an_example_has_a_value_for_each_required_field_that_is_not_elsewhere() -> None:
    assert example(Place, ["order_id"]) == {
        "colour": "blue",
        "many": 1,
        "price": 1.0,
        "gift": True,
        "address": {},
        "parts": [],
        "buyerName": "BUYER",
    }


def test_a_type_that_holds_itself_has_an_example() -> None:
    assert example(Part, ()) == {"part_id": "PART_ID", "after": {}}
