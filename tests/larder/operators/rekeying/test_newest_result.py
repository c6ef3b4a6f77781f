"""Results of rekeyed rows in their topic, whichever writer they are from: none of them ends a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larder.delivery.headers import AFTER_HEADER
from larder.delivery.output import Output
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators.owned_rows import OwnedRows
from larder.operators.rekeying.newest_result import NewestResultStep
from larder.store import Table
from larder.store.applying.deletions import REVISION_HEADER
from larder.store.applying.row_checks import RowChecks
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.store.samples import customers, small_memory

LETTERS = Output("shop.dead-letters", 1, 1 << 20)
JOINED = TopicPartition("shop.joined", 0)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    held = LocalTable(Table(customers, tmp_path, small_memory(), "partition"), TableRole(), 5.0, lambda: 0.0)
    held.set_topic("id-1", 1)
    held.open([0])
    yield held
    held.close()


def gathered(held: LocalTable, *records: Sent) -> list[list[bytes | None]]:
    """Return the keys of the rows that the results produce, and those of their dead letters."""
    delivery = MemoryDelivery()
    rows = OwnedRows(held.at(0), Output(customers.name, 1, 1 << 20), delivery.as_delivery(), 1)
    at = context(JOINED, delivery, LETTERS, service="shop")
    NewestResultStep(rows, at, RowChecks(customers)).process(records)
    delivery.finish()
    return [[each.key for each in delivery.logs[TopicPartition(topic, 0)]] for topic in (customers.name, LETTERS.topic)]


REVISIONS = st.none() | st.binary(max_size=30) | st.integers().map(lambda number: b"%d" % number)
HEADERS = st.lists(st.tuples(st.sampled_from([REVISION_HEADER, AFTER_HEADER, "other"]), REVISIONS), max_size=3)
GOOD = b'{"customer_id":"good","revision":1}'
KEYS = st.none() | st.binary(max_size=9) | st.just(b"good")
RESULTS = st.builds(Sent, st.just(0), st.just(1), KEYS, st.none() | st.binary(max_size=9), HEADERS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(result=RESULTS)
def test_any_record_among_the_results_is_gathered_or_dead_lettered_and_the_next_is_gathered(
    held: LocalTable, result: Sent
) -> None:
    good = Sent(1, 1, b"good", GOOD, [(REVISION_HEADER, b"1")])
    rows, letters = gathered(held, result, good)
    is_deletion = result.key == b"good" and result.value is None and not letters
    if not is_deletion:
        assert rows[-1] == b"good"
    assert letters in ([], [b"shop.joined/0/0"])
    assert len(rows) + len(letters) <= 2


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        (b"a", []),
        (b"a", [(REVISION_HEADER, b"x")]),
        (b"a", [(REVISION_HEADER, None)]),
        (b"a", [(REVISION_HEADER, b"%d" % 2**63)]),
        (b"a", [(AFTER_HEADER, b"")]),
        (None, [(REVISION_HEADER, b"1")]),
        (b"b", [(REVISION_HEADER, b"1")]),
        (b"a", [(REVISION_HEADER, b"2")]),
        (b"a", [(AFTER_HEADER, b"1")]),
    ],
)
def test_an_invalid_result_is_dead_lettered_with_its_coordinates(
    held: LocalTable, key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    row = b'{"customer_id":"a","revision":1}'
    assert gathered(held, Sent(7, 1, key, row, headers)) == [[], [b"shop.joined/0/7"]]


@pytest.mark.parametrize(
    "value", [b"garbage", b"{}", b'{"customer_id":"good"}', b'{"customer_id":5,"revision":4611686018427387904}']
)
def test_an_invalid_result_hides_no_later_result_of_its_key(held: LocalTable, value: bytes) -> None:
    forged = Sent(0, 1, b"good", value, [(REVISION_HEADER, b"%d" % 2**62)])
    good = Sent(1, 1, b"good", GOOD, [(REVISION_HEADER, b"1")])
    assert gathered(held, forged, good) == [[b"good"], [b"shop.joined/0/0"]]


def test_a_deleted_result_keeps_its_own_revision_or_that_of_the_row(held: LocalTable) -> None:
    row = Sent(0, 1, b"good", GOOD, [(REVISION_HEADER, b"1")])
    after = Sent(1, 1, b"good", None, [(AFTER_HEADER, b"1")])
    later = Sent(2, 1, b"good", None, [(REVISION_HEADER, b"2")])
    assert gathered(held, row, after, later) == [[b"good"] * 3, []]
