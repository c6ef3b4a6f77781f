"""Records that are not rows are rejected with a cause, and nothing else is lost."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from larder import OwnerTopic, Row
from larder.store import Table
from tests.larder.store.samples import Sent, customers, opened, row

GOOD = b'{"customer_id":"c1","revision":1}'


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        (b"c1", b"{", "the value requires JSON"),
        (b"c1", b"", "the value is empty"),
        (b"c1", rb'{"customer_id":"c1","name":"\ud800","revision":1}', "lone surrogate \\ud800"),
        (b"c1", b'{"customer_id":"\xff","revision":1}', "the value requires JSON"),
        (b"c1", b"[" * 100_000, "the value requires"),
        (b"c1", b"[]", "requires the fields of Customer"),
        (b"c1", b'{"customer_id":7,"revision":1}', "Expected `str`, got `int`"),
        (b"c1", b'{"customer_id":"c1"}', "missing required field `revision`"),
        (b"c1", b'{"customer_id":"c1","revision":"1"}', "Expected `int`, got `str`"),
        (b"c1", b'{"customer_id":"c1","revision":1.5}', "Expected `int`, got `float`"),
        (b"c1", b'{"customer_id":"c1","revision":true}', "Expected `int`, got `bool`"),
        (b"c1", b'{"customer_id":"c1","revision":9223372036854775808}', "requires an integer of 64 bits"),
        (b"c2", GOOD, "requires the value of customer_id, 'c1'; found b'c2'"),
        (b"\xff", GOOD, "requires a text key; found b'\\xff'"),
        (None, GOOD, "a row requires a message key; found null; send customer_id as key"),
        (None, None, "a row requires a message key"),
        (b"\xff", None, "requires a text key; found b'\\xff'"),
    ],
)
def test_a_record_that_is_not_a_row_is_rejected_with_its_cause(
    table: Table,
    key: bytes | None,
    value: bytes | None,
    cause: str,
) -> None:
    bad = Sent(1, key, value)
    applied = table.apply(0, [row(0, "before", 1), bad, row(2, "after", 1)])
    assert [rejected.record for rejected in applied.rejected] == [bad]
    assert cause in applied.rejected[0].cause
    assert len(applied.rejected[0].cause) < 500
    assert applied.changed_keys == [b"before", b"after"]
    assert table.position(0) == 3


def test_a_bad_record_leaves_the_existing_row(table: Table) -> None:
    table.apply(0, [Sent(0, b"c1", GOOD), Sent(1, b"c1", b"{")])
    assert table.raw(b"c1") == GOOD


class MaybeRevised(Row):
    customer_id: str
    revision: int | None = None


def test_a_missing_optional_revision_is_rejected(tmp_path: Path) -> None:
    table = opened(tmp_path, OwnerTopic("t", MaybeRevised, key="customer_id", revision="revision"))
    applied = table.apply(0, [Sent(0, b"c1", b'{"customer_id":"c1"}')])
    assert "requires a revision in revision; found none" in applied.rejected[0].cause


@pytest.mark.parametrize("revision", [b"x", b"", None, b"9223372036854775808", b"\xff"])
def test_a_deletion_with_an_unreadable_revision_is_rejected(table: Table, revision: bytes | None) -> None:
    table.apply(0, [Sent(0, b"c1", GOOD)])
    applied = table.apply(0, [Sent(1, b"c1", None, headers=[("larder.revision", revision)])])
    assert len(applied.rejected) == 1
    assert table.raw(b"c1") == GOOD


class Numbered(Row):
    id: int


class Unique(Row):
    id: uuid.UUID


class Blob(Row):
    id: bytes


@pytest.mark.parametrize(
    ("row_type", "key_type", "key", "json", "typed"),
    [
        (Numbered, int, (-5).to_bytes(8, "big", signed=True), b'{"id":-5}', -5),
        (
            Unique,
            uuid.UUID,
            b"6f3c8b1e-0000-4000-8000-000000000001",
            b'{"id":"6f3c8b1e-0000-4000-8000-000000000001"}',
            uuid.UUID("6f3c8b1e-0000-4000-8000-000000000001"),
        ),
        (Blob, bytes, b"\x00\xff", b'{"id":"AP8="}', b"\x00\xff"),
    ],
)
def test_keys_of_every_declared_type_are_checked_and_found(
    tmp_path: Path,
    row_type: type[Row],
    key_type: type,
    key: bytes,
    json: bytes,
    typed: Any,
) -> None:
    table = opened(tmp_path, OwnerTopic("t", row_type, key="id", key_type=key_type))
    applied = table.apply(0, [Sent(0, key, json), Sent(1, key + b"!", json), Sent(2, b"", json)])
    assert [rejected.record.offset for rejected in applied.rejected] == [1, 2]
    assert table.get(typed) == row_type(id=typed)
    assert [found.key for found in table.found(limit=10)] == [key]


def test_customers_without_any_bad_record_reject_nothing(tmp_path: Path) -> None:
    table = opened(tmp_path, customers)
    assert table.apply(0, [row(0, "é", 1), row(1, "", 1), row(2, "\0", 1)]).rejected == []
    assert table.get("é") is not None
    assert table.get("") is not None
