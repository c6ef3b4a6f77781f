"""Coordinates of records as text, and back."""

from __future__ import annotations

import pytest

from larder.declaring.coordinates import Coordinates


def test_coordinates_are_read_back_from_their_text() -> None:
    assert str(Coordinates("shop.orders", 5, 7)) == "shop.orders/5/7"
    assert Coordinates.read("shop.orders/5/7") == Coordinates("shop.orders", 5, 7)


@pytest.mark.parametrize("text", ["", "orders", "orders/1", "orders/1/", "orders/-1/2", "or ders/1/2", "orders/1/2/3"])
def test_any_other_text_has_no_coordinates(text: str) -> None:
    assert Coordinates.read(text) is None
