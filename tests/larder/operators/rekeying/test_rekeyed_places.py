"""The places of rekeyed rows in their topic, whichever writer they are from: none of them hides a later row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larder.counters.rekey_counts import RekeyCounts
from larder.delivery.headers import GENERATION_HEADER
from larder.delivery.output import Output
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators.rekeying.rows import RekeyRowsStep, RowPlace, keys_topic
from larder.store import Table
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.store.samples import small_memory

KEYS = keys_topic("shop.addresses.by.customer.keys", 1)
INTO = Output("shop.addresses.by.customer", 4, 1 << 20)
LETTERS = Output("shop.dead-letters", 1, 1 << 20)
KEY = b"a1"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    held = LocalTable(Table(KEYS, tmp_path, small_memory(), "partition"), TableRole(internal=True), 5.0, lambda: 0.0)
    held.set_topic("id-1", 1)
    held.open([0])
    yield held
    held.close()


def rekeyed(held: LocalTable, revision: int) -> list[Sent]:
    """Return the outcome of one row of KEY."""
    delivery = MemoryDelivery()
    at = context(TopicPartition("shop.addresses", 0), delivery, LETTERS, held, service="shop")
    places = at.owned(Output(KEYS.name, 1, 1 << 20))
    delivery.refusal = lambda *_: None  # type: ignore[attr-defined]
    rekeying = RekeyRowsStep(lambda _: (b"c1", revision), places, INTO, at, RekeyCounts())
    rekeying.process([Sent(0, 1, KEY, b"{}", [])])
    delivery.finish()
    return [record for (topic, _), log in delivery.logs.items() if topic == INTO.topic for record in log]


HUGE = msgspec.json.encode(RowPlace(key=KEY, by=b"c9", revision=2**62))
FORMS = st.builds(
    lambda by, revision: msgspec.json.encode({"key": "YTE=", "by": by, "revision": revision}),
    st.sampled_from(["YzE=", "", "?"]),
    st.integers(min_value=-(2**64), max_value=2**64),
)
FOREIGN = st.builds(
    Sent,
    st.just(0),
    st.integers(min_value=-1, max_value=2**62),
    st.just(KEY) | st.none() | st.binary(max_size=9),
    st.none() | st.binary(max_size=40) | FORMS,
    st.lists(st.tuples(st.sampled_from(["larder.revision", "larder.after", "x"]), st.none() | st.binary(max_size=9))),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(foreign=st.lists(FOREIGN, min_size=1, max_size=3))
def test_any_foreign_record_among_the_places_is_rejected_and_the_next_row_passes(
    held: LocalTable, foreign: list[Sent]
) -> None:
    position = held.position(0)
    records = [each._replace(offset=position + number) for number, each in enumerate(foreign)]
    rejected = held.apply(0, records, position + len(records))
    assert [each.record.offset for each in rejected] == [each.offset for each in records]
    assert [record.key for record in rekeyed(held, 1)] == [KEY]


def test_a_foreign_place_with_a_huge_revision_does_not_replace_the_services_own(held: LocalTable) -> None:
    own = msgspec.json.encode(RowPlace(key=KEY, by=b"c1", revision=1))
    held.apply(0, [Sent(0, 1, KEY, own, [(GENERATION_HEADER, b"1")])], 1)
    (rejected,) = held.apply(0, [Sent(1, 1, KEY, HUGE, [])], 2)
    assert "requires records that this service wrote, with the header larder.generation" in rejected.cause
    assert rekeyed(held, 1) == [], "its own place stays valid"
    assert len(rekeyed(held, 2)) == 1


def test_a_deletion_by_another_writer_does_not_remove_a_place(held: LocalTable) -> None:
    own = msgspec.json.encode(RowPlace(key=KEY, by=b"c1", revision=1))
    held.apply(0, [Sent(0, 1, KEY, own, [(GENERATION_HEADER, b"1")])], 1)
    assert len(held.apply(0, [Sent(1, 1, KEY, None, [])], 2)) == 1
    assert rekeyed(held, 1) == []
