"""The outcomes of records among rekeyed rows, whichever writer they are from: an invalid row changes no result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder import DeadLetter, Drop, OwnerTopic, PassOn, Row, Service
from larder.declaring.compiled.joins import compile_join
from larder.delivery.headers import AFTER_HEADER, MOVED_HEADER
from larder.delivery.output import Output
from larder.store.applying.deletions import REVISION_HEADER
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.built import built
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent


class Customer(Row):
    customer_id: str


class Address(Row):
    address_id: str
    customer_id: str
    city: str
    revision: int


class Label(Address):
    customer: Customer | None


customers = OwnerTopic("crm.customers", Customer, key="customer_id")
addresses = OwnerTopic("crm.addresses", Address, key="address_id", revision="revision")
labels = OwnerTopic("shop.labels", Label, key="address_id", revision="revision")
JOINED = Output("shop.joined", 1, 1 << 20)
LETTERS = Output("shop.dead-letters", 1, 1 << 20)
HUGE = 2**62


class Customers:
    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [b'{"customer_id":"c1"}' if key == b"c1" else None for key in keys]


def joined(
    *records: Sent, settle: Any = DeadLetter, rekeyed: bool = True, function: Any = None
) -> tuple[list[Sent], list[Sent]]:
    """Return the results of rows, and their dead letters."""
    service = Service("shop")
    source = addresses.by("customer_id") if rekeyed else addresses
    declared = service.join(source, service.global_table(customers).on("customer_id"), into=labels, missing=settle)
    if function is not None:
        declared(function)
    delivery = MemoryDelivery()
    at = context(TopicPartition("shop.addresses", 0), delivery, LETTERS, service="shop")
    built(compile_join(declared), [Customers()], JOINED, at).process(records)
    delivery.finish()
    results, letters = (delivery.logs[TopicPartition(each.topic, 0)] for each in (JOINED, LETTERS))
    return results, letters


def address(key: str = "a1", **changed: Any) -> bytes:
    fields = {"address_id": key, "customer_id": "c1", "city": "Bonn", "revision": 1} | changed
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def sent(value: bytes | None, *headers: tuple[str, bytes | None], key: bytes | None = b"a1") -> Sent:
    return Sent(0, 1, key, value, headers)


NO_ROWS = {
    "without a field": address(city=None, customer_id="c9", revision=HUGE),
    "with a field of another type": address(city=5, customer_id="c9", revision=HUGE),
    "without the field it is joined by": address(customer_id=None, revision=HUGE),
    "under another key": address("a2", customer_id="c9", revision=HUGE),
    "with an invalid revision": address(customer_id="c9", revision="x"),
    "with a revision of more than 64 bits": address(customer_id="c9", revision=2**63),
}


@pytest.mark.parametrize("rekeyed", [True, False])
@pytest.mark.parametrize("settle", [DeadLetter, Drop])
@pytest.mark.parametrize("value", NO_ROWS.values(), ids=NO_ROWS)
def test_an_invalid_row_deletes_no_result(value: bytes, settle: Any, *, rekeyed: bool) -> None:
    results, letters = joined(sent(value), settle=settle, rekeyed=rekeyed)
    assert results == []
    assert len(letters) == 1


@pytest.mark.parametrize("rekeyed", [True, False])
def test_a_row_without_a_partner_deletes_the_result_of_its_older_revision(*, rekeyed: bool) -> None:
    results, letters = joined(sent(address(customer_id="c9", revision=7)), rekeyed=rekeyed)
    assert [(each.key, each.value, each.headers) for each in results] == [(b"a1", None, [(REVISION_HEADER, b"7")])]
    assert len(letters) == 1


def test_a_row_with_an_unwanted_result_deletes_the_result_of_its_older_revision() -> None:
    def never(_address: Address, _customer: Customer | None) -> Label | None:
        return None

    results, letters = joined(sent(address(revision=7)), function=never)
    assert [(each.value, each.headers) for each in results] == [(None, [(REVISION_HEADER, b"7")])]
    assert letters == []


@pytest.mark.parametrize(
    "headers",
    [
        [(REVISION_HEADER, b"%d" % HUGE)],
        [],
        [(AFTER_HEADER, b"x")],
        [(AFTER_HEADER, None)],
        [(AFTER_HEADER, b"1"), (REVISION_HEADER, b"x")],
        [(AFTER_HEADER, b"1"), (REVISION_HEADER, b"%d" % 2**63)],
    ],
)
def test_a_foreign_deletion_among_rekeyed_rows_deletes_no_result(
    headers: list[tuple[str, bytes | None]],
) -> None:
    results, letters = joined(sent(None, *headers))
    assert results == []
    assert len(letters) == 1


def test_the_deletion_of_a_rekeyed_row_is_passed_on_but_a_move_is_not() -> None:
    headers = [(AFTER_HEADER, b"1"), (REVISION_HEADER, b"2")]
    results, letters = joined(sent(None, *headers), sent(None, (MOVED_HEADER, b""), (AFTER_HEADER, b"1")))
    assert [(each.value, each.headers) for each in results] == [(None, headers)]
    assert letters == []


def test_an_owners_deletion_is_passed_on_unless_its_revision_is_invalid() -> None:
    results, letters = joined(
        sent(None), sent(None, (REVISION_HEADER, b"2")), sent(None, (REVISION_HEADER, b"x")), rekeyed=False
    )
    assert [each.headers for each in results] == [[], [(REVISION_HEADER, b"2")]]
    assert len(letters) == 1


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([REVISION_HEADER, AFTER_HEADER, MOVED_HEADER, "x"]),
        st.none() | st.binary(max_size=9) | st.integers().map(lambda number: b"%d" % number),
    ),
    max_size=3,
)
VALUES = (
    st.none()
    | st.binary(max_size=20)
    | st.fixed_dictionaries(
        {},
        optional={
            "address_id": st.sampled_from(["a1", "a2", None, 5]),
            "customer_id": st.sampled_from(["c1", "c9", None, 5]),
            "city": st.sampled_from(["Bonn", None, 5]),
            "revision": st.integers() | st.sampled_from([None, "x", 1.0, 1e300, HUGE]),
        },
    ).map(msgspec.json.encode)
)
KEYS = st.sampled_from([b"a1", b"\xff", b"", None])


@given(key=KEYS, value=VALUES, headers=HEADERS, settle=st.sampled_from([DeadLetter, Drop, PassOn]))
def test_any_record_among_rekeyed_rows_is_joined_or_dead_lettered_and_the_next_is_joined(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], settle: Any
) -> None:
    foreign, good = Sent(0, 1, key, value, headers), Sent(1, 1, b"good", address("good"), ())
    results, letters = joined(foreign, good, settle=settle)
    assert results[-1].key == b"good"
    assert len(results) + len(letters) <= 3


def test_in_a_slice_the_deletion_of_a_result_follows_the_results_before_it() -> None:
    def in_bonn(row: Address, customer: Customer | None) -> Label | None:
        fields = {"address_id": row.address_id, "customer_id": row.customer_id, "revision": row.revision}
        return Label(**fields, city=row.city, customer=customer) if row.city == "Bonn" else None

    records = [sent(address(revision=1)), sent(address(city="Graz", revision=2)), sent(address("a2"), key=b"a2")]
    results, letters = joined(*records, rekeyed=False, function=in_bonn)
    assert [(each.key, each.value is None) for each in results] == [(b"a1", False), (b"a1", True), (b"a2", False)]
    assert letters == []
