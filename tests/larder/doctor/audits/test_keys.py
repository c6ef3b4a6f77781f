"""Message keys that are missing, have the wrong type, or are not those of their rows."""

from __future__ import annotations

from larder import EventTopic, OwnerTopic, Row
from larder.declaring.coordinates import Coordinates
from larder.doctor.audits.keys import Keys
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from larder.observability.conditions import Severity
from tests.support.audited import Given, found, given, shop

ROW = {"customer_id": "c1", "name": "Ada", "revision": 1}
CUSTOMERS, ORDERS = shop()[1]["customers"], shop()[1]["orders"]


class Number(Row):
    number: int


NUMBERS = OwnerTopic("numbers", Number, key="number", key_type=int)


def audit(topic: EventTopic | OwnerTopic, *records: Given) -> list[Finding]:
    reader = ValueReader(topic)
    return found(Keys(reader), reader, {2: records})


def test_keys_as_declared_are_no_finding() -> None:
    assert not audit(CUSTOMERS, given(0, "c1", ROW), given(1, "c1", None))
    assert not audit(NUMBERS, given(0, (7).to_bytes(8, "big"), {"number": 7}))


def test_null_keys_are_an_error_for_rows_and_a_warning_for_events() -> None:
    (of_rows,) = audit(CUSTOMERS, given(4, None, ROW), given(5, None, None), given(6, "c1", ROW))
    assert (of_rows.severity, of_rows.samples) == (
        Severity.ERROR,
        (Coordinates("shop.customers", 2, 4), Coordinates("shop.customers", 2, 5)),
    )
    assert of_rows.seen == "2 records without a key"
    assert of_rows.do[0] == "have their producer send customer_id as the key of the message"
    order = {"order_id": "o1", "customer_id": "c1", "amount": 1}
    assert [each.severity for each in audit(ORDERS, given(0, None, order))] == [Severity.WARNING]


def test_keys_not_of_the_declared_type_are_found() -> None:
    (finding,) = audit(NUMBERS, given(0, "7", {"number": 7}))
    assert finding.seen == "1 record whose key is not of the declared type int64"


def test_a_row_under_another_key_is_found_even_if_the_row_is_invalid() -> None:
    (finding,) = audit(CUSTOMERS, given(0, "c2", ROW), given(1, "c3", {"customer_id": "c1", "name": 5}))
    assert finding.seen == "2 records whose key is not the value of customer_id"


def test_a_value_without_a_key_is_left_to_the_schema_audit() -> None:
    assert not audit(CUSTOMERS, given(0, "c1", b"{"), given(1, "c1", {"customer_id": 7}), given(2, "c1", {}))


def test_at_most_five_coordinates_are_listed() -> None:
    (finding,) = audit(CUSTOMERS, *(given(offset, None, ROW) for offset in range(1_000)))
    assert [place.offset for place in finding.samples] == [0, 1, 2, 3, 4]
    assert finding.seen.startswith("1,000 records")
