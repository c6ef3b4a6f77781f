"""Dead letters: the record as it was, and where and why it failed."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.dead_letters import dead_letter, fitting


class Failed(NamedTuple):
    key: bytes | None = b"o1"
    value: bytes | None = b"{"
    offset: int = 7
    timestamp: int = 1000
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012 - never changed


def test_a_dead_letter_has_the_record_its_coordinates_and_the_cause() -> None:
    letter = dead_letter("shipping", "shop.orders", 3, Failed(headers=[("trace", b"t1")]), "is malformed")
    assert letter.key == b"shop.orders/3/7"
    assert letter.value == b"{"
    assert letter.headers == [
        ("trace", b"t1"),
        ("larder.service", b"shipping"),
        ("larder.topic", b"shop.orders"),
        ("larder.partition", b"3"),
        ("larder.offset", b"7"),
        ("larder.timestamp", b"1000"),
        ("larder.cause", b"is malformed"),
        ("larder.key", b"o1"),
    ]


@pytest.mark.parametrize("value", [None, b"\xff", b""])
def test_any_value_stays_unchanged(value: bytes | None) -> None:
    assert dead_letter("s", "t", 0, Failed(value=value), "x").value == value


def test_a_record_without_a_key_has_no_key_header() -> None:
    assert "larder.key" not in dict(dead_letter("s", "t", 0, Failed(key=None), "x").headers)


def test_headers_of_ours_that_a_record_already_has_are_replaced() -> None:
    record = Failed(headers=[("larder.topic", b"first")])
    assert [value for name, value in dead_letter("s", "t", 0, record, "x").headers if name == "larder.topic"] == [b"t"]


def test_a_cause_may_quote_invalid_text() -> None:
    assert dict(dead_letter("s", "t", 0, Failed(), "bad \ud800").headers)["larder.cause"] == b"bad \\ud800"


def test_a_letter_that_fits_does_not_change() -> None:
    letter = dead_letter("shipping", "shop.orders", 3, Failed(), "is malformed")
    assert fitting(letter, 1_000) is letter


def test_a_letter_that_is_too_large_loses_its_value_and_says_so() -> None:
    letter = dead_letter("shipping", "shop.orders", 3, Failed(value=b"x" * 5_000, headers=[("trace", b"t1")]), "why")
    smaller = fitting(letter, 1_000)
    assert (smaller.key, smaller.value) == (letter.key, None)
    assert smaller.headers == [*letter.headers, ("larder.left-out", b"the value, of 5000 bytes")]


def test_a_letter_whose_key_or_headers_are_too_large_keeps_cause_and_coordinates() -> None:
    failed = Failed(key=b"k" * 5_000, headers=[("trace", b"t" * 5_000)])
    smaller = fitting(dead_letter("shipping", "shop.orders", 3, failed, "why"), 1_000)
    found = dict(smaller.headers)
    assert {"larder.topic", "larder.partition", "larder.offset", "larder.cause"} <= found.keys()
    assert found["larder.left-out"] == b"the value, of 1 bytes, the key and the headers"
    assert not {"trace", "larder.key"} & found.keys()


@given(size=st.integers(0, 5_000), largest=st.integers(600, 5_000))
def test_a_letter_keeps_as_much_as_fits(size: int, largest: int) -> None:
    letter = dead_letter("shipping", "shop.orders", 3, Failed(value=b"x" * size, headers=[("h", b"v" * size)]), "why")
    smaller = fitting(letter, largest)
    assert len(smaller.key) + len(smaller.value or b"") + sum(len(n) + len(v) for n, v in smaller.headers) <= largest
    assert (smaller.value is None) == ("larder.left-out" in dict(smaller.headers))


def test_a_cause_that_quotes_a_megabyte_is_cut() -> None:
    letter = dead_letter("shipping", "shop.orders", 3, Failed(), "x" * 1_000_000)
    assert len(dict(letter.headers)["larder.cause"]) < 5_000
