"""Envelopes of Kafka Connect and Debezium are recognised, and named when a value is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Row
from larder.declaring.decoding import decoder
from larder.declaring.envelopes import BOTH, CONNECT, DEBEZIUM, envelope_of

ROW = {"customer_id": "c1", "name": "Ada"}
CHANGE = {"before": None, "after": ROW, "op": "c", "source": {"table": "customers"}, "ts_ms": 1}


class Customer(Row):
    customer_id: str
    name: str


def wrapped(payload: object) -> dict[str, Any]:
    return {"schema": {"type": "struct"}, "payload": payload}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ROW, None),
        (CHANGE, DEBEZIUM),
        (wrapped(ROW), CONNECT),
        (wrapped(None), CONNECT),
        (wrapped(CHANGE), BOTH),
        ({**ROW, "schema": 1, "payload": 2}, None),
        ({**ROW, "op": "c", "after": 1}, None),
        ([1], None),
    ],
)
def test_an_envelope_is_recognised_by_its_fields(value: object, expected: object) -> None:
    assert envelope_of(msgspec.json.encode(value), {"customer_id", "name"}) == expected


def test_a_row_type_may_declare_the_fields_of_an_envelope() -> None:
    assert envelope_of(msgspec.json.encode(wrapped(ROW)), {"schema", "payload"}) is None
    assert envelope_of(msgspec.json.encode(CHANGE), {"before", "after", "op"}) is None


@pytest.mark.parametrize(("value", "name"), [(CHANGE, DEBEZIUM.name), (wrapped(ROW), CONNECT.name)])
def test_a_refused_value_is_explained_by_its_envelope(value: object, name: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        decoder(Customer)(msgspec.json.encode(value))
    assert "missing required field `customer_id`" in str(error.value)
    assert f"; the value is {name}: " in str(error.value)


def test_other_causes_do_not_change() -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        decoder(Customer)(b'{"customer_id":"c1"}')
    assert str(error.value) == "Object missing required field `name`"


@given(st.binary())
def test_no_bytes_make_it_fail(value: bytes) -> None:
    assert envelope_of(value, ()) is None
