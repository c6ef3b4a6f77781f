"""Values that do not match the row type of their topic."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from larder import EventTopic, OwnerTopic, Row
from larder.cli.commands.doctor import _show
from larder.doctor.audits.schema import MOST_FIELDS, Schema
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from larder.observability.conditions import Severity
from tests.support.audited import Given, found, given, shop

CUSTOMERS, ORDERS = shop()[1]["customers"], shop()[1]["orders"]
ROW = {"customer_id": "c1", "name": "Ada", "revision": 1, "nickname": None}


def audit(topic: EventTopic | OwnerTopic, *records: Given) -> list[Finding]:
    reader = ValueReader(topic)
    return found(Schema(reader), reader, {0: records})


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in ROW.items() if name not in names}


def test_rows_of_the_declared_type_and_deletions_are_no_finding() -> None:
    assert not audit(CUSTOMERS, given(0, "c1", ROW), given(1, "c1", without("nickname")), given(2, "c1", None))


def test_missing_fields_are_counted_by_name() -> None:
    (finding,) = audit(
        CUSTOMERS,
        given(0, "c1", without("name")),
        given(1, "c1", without("name", "revision")),
        given(2, "c1", ROW),
    )
    assert finding.severity is Severity.ERROR
    assert finding.seen == "2 of 3 values lack fields of Customer: name (2), revision (1)"


def test_all_fields_of_another_type_are_listed_with_the_error() -> None:
    (finding,) = audit(
        CUSTOMERS, given(0, "c1", {**ROW, "name": 5, "revision": "1"}), given(1, "c1", {**ROW, "name": 6})
    )
    assert finding.seen == (
        "2 of 2 values have fields that are not of the type that Customer declares: name (2: Expected `str`, got"
        " `int`), revision (1: Expected `int`, got `str`)"
    )


def test_a_nested_field_is_listed_with_its_path() -> None:
    class Outer(Row):
        key: str
        inner: dict[str, int]

    (finding,) = audit(EventTopic("outer", Outer, key="key"), given(0, "a", {"key": "a", "inner": {"n": "1"}}))
    assert "inner (1: Expected `int`, got `str` - at `$[...]`)" in finding.seen


def test_an_unknown_field_is_a_hint() -> None:
    (finding,) = audit(CUSTOMERS, given(0, "c1", {**ROW, "tier": "gold"}), given(1, "c1", ROW))
    assert (finding.severity, finding.seen) == (
        Severity.HINT,
        "1 of 2 values has fields that Customer does not know: tier (1)",
    )


def test_a_renamed_optional_field_is_a_warning() -> None:
    (finding,) = audit(CUSTOMERS, given(0, "c1", {**without("nickname"), "nick_name": "A"}))
    assert finding.severity is Severity.WARNING
    assert "nick_name may be nickname, which no value has" in finding.seen


def test_a_forbidden_unknown_field_is_an_error() -> None:
    class Strict(Row, forbid_unknown_fields=True):
        key: str

    (finding,) = audit(OwnerTopic("strict", Strict, key="key"), given(0, "a", {"key": "a", "more": 1}))
    assert finding.severity is Severity.ERROR


def test_a_debezium_envelope_is_named_with_the_fix() -> None:
    change = {"before": None, "after": ROW, "op": "c", "ts_ms": 1}
    (finding,) = audit(CUSTOMERS, given(0, "c1", change), given(1, "c1", ROW))
    assert (finding.severity, finding.seen) == (
        Severity.ERROR,
        "1 of 2 values is a Debezium envelope (before, after, op) around the row",
    )
    assert "ExtractNewRecordState" in finding.do[0]


def test_a_connect_envelope_is_named_even_if_no_field_is_required() -> None:
    class Note(Row):
        note: str = ""

    notes = EventTopic("notes", Note, key="note")
    (finding,) = audit(notes, given(0, "a", {"schema": {"type": "struct"}, "payload": {"note": "a"}}))
    assert finding.seen == "1 of 1 value is a Connect envelope (schema, payload) around the row"
    assert finding.do == ("set value.converter.schemas.enable=false for the connector",)


def test_a_value_that_is_not_a_json_object_is_an_error() -> None:
    (finding,) = audit(CUSTOMERS, given(0, "c1", b"{"), given(1, "c1", b"[1]"), given(2, "c1", b"\xff"))
    assert finding.seen.startswith("3 of 3 values are not a JSON object: ")


def test_an_event_without_a_value_is_a_warning() -> None:
    order = {"order_id": "o1", "customer_id": "c1", "amount": 1}
    (finding,) = audit(ORDERS, given(0, "c1", None), given(1, "c1", order), given(2, "c1", None))
    assert (finding.severity, finding.seen) == (Severity.WARNING, "2 of 3 events have no value")


def test_the_number_of_remembered_field_names_is_bounded() -> None:
    reader = ValueReader(CUSTOMERS)
    schema = Schema(reader)
    for at in range(2 * MOST_FIELDS):
        schema.take(reader.read(0, [given(at, "c1", {**ROW, f"of-{at}": 1})]))
    assert len(schema._unknown.fields) == MOST_FIELDS
    assert f"and {MOST_FIELDS - 10} more" in next(schema.findings()).seen


def test_the_name_of_a_field_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _show(audit(CUSTOMERS, given(0, "c1", {**ROW, "\x1b[2J": 1})), {})
    assert "know: \\x1b[2J (1)" in capsys.readouterr().out


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@examples(st.dictionaries(st.sampled_from([*ROW, "other"]), PLAIN | st.lists(PLAIN, max_size=2)) | PLAIN)
def test_a_value_is_an_error_exactly_when_a_table_would_reject_it(value: object) -> None:
    reader = ValueReader(CUSTOMERS)
    record = given(0, "c1", msgspec.json.encode(value))
    errors = [each for each in audit(CUSTOMERS, record) if each.severity is Severity.ERROR]
    assert bool(errors) == (reader.read(0, [record])[0].row is None)


@examples(st.binary(max_size=30))
def test_no_bytes_make_the_audit_fail(value: bytes) -> None:
    audit(CUSTOMERS, given(0, "c1", value))
