"""What a join decides on a record, from its rows alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.declaring.compiled.joins import LookedUp, compile_join
from larder.declaring.records import PlainRecord
from larder.declaring.sources import events_of
from larder.kafka.partitioner import partition_of
from larder.local_tables.misplaced import RecordPlaces
from larder.operators.joins.decisions import Decision, DeleteResult, GiveUp, JoinRows, JoinRule, WaitForRows
from larder.operators.joins.row_results import row_results
from larder.store.applying.row_checks import RowChecks

PARTITIONS = 4
HERE = partition_of(b"c1", PARTITIONS)
ELSEWHERE = next(key for key in (b"c%d" % number for number in range(9)) if partition_of(key, PARTITIONS) != HERE)


class Customer(Row):
    customer_id: str


class Cart(Row):
    customer_id: str
    revision: int = 1


class Filled(Cart):
    customer: Customer | None


def rule(missing: Any, *, held: str = "global", rows: bool = False) -> JoinRule:
    """A join of events, or one of rows into rows."""
    service = Service("s")
    topic = OwnerTopic("customers", Customer, key="customer_id")
    customers = service.global_table(topic) if held == "global" else service.table(topic)
    into: Any
    source: Any
    if rows:
        source = OwnerTopic("carts", Cart, key="customer_id", revision="revision")
        into = OwnerTopic("filled", Filled, key="customer_id", revision="revision", owner="s")
    else:
        source = EventTopic("carts", Cart, key="customer_id")
        into = EventTopic("filled", Filled, key="customer_id")
    join = service.join(source, customers.on("customer_id"), into=into, missing=missing)
    checks = RowChecks(source) if isinstance(events_of(source), OwnerTopic) else None
    return JoinRule(compile_join(join), RecordPlaces(HERE, join.lookups, [PARTITIONS]), checks, row_results(join))


def cart(reference: bytes = b"c1", row: bytes | None = None) -> LookedUp:
    value = msgspec.json.encode({"customer_id": reference.decode(), "revision": 1})
    return LookedUp(PlainRecord(0, 0, reference, value), (reference,), (row,))


def without_value(key: bytes | None = b"c1") -> LookedUp:
    return LookedUp(PlainRecord(0, 0, key, None), unreadable="the record has no value")


NO_ROW = "customers has no row 'c1'"


@pytest.mark.parametrize("missing", [DeadLetter, Drop, PassOn, Wait(9).then(Drop)])
def test_a_record_whose_rows_all_exist_is_joined(missing: Any) -> None:
    assert rule(missing).decide(cart(row=b"{}")) == JoinRows()


@pytest.mark.parametrize(
    ("missing", "decision"),
    [
        (DeadLetter, GiveUp(DeadLetter, NO_ROW)),
        (Drop, GiveUp(Drop)),
        (PassOn, GiveUp(PassOn)),
        (Wait(9).then(DeadLetter), WaitForRows()),
    ],
)
def test_a_record_that_lacks_a_row_takes_the_first_declared_step(missing: Any, decision: Decision) -> None:
    assert rule(missing).decide(cart()) == decision


@pytest.mark.parametrize(
    ("last", "decision"), [(DeadLetter, GiveUp(DeadLetter, NO_ROW)), (Drop, GiveUp(Drop)), (PassOn, GiveUp(PassOn))]
)
def test_a_record_that_no_longer_waits_takes_the_last_step(last: Any, decision: Decision) -> None:
    assert rule(Wait(9).then(last)).give_up(cart()) == decision


@pytest.mark.parametrize("missing", [Drop, PassOn, Wait(9).then(Drop)])
def test_a_misplaced_record_is_dead_lettered_whatever_is_declared(missing: Any) -> None:
    decision = rule(missing, held="partition").decide(cart(ELSEWHERE))
    assert isinstance(decision, GiveUp)
    assert decision.step is DeadLetter
    assert "the partition of their rows" in decision.cause
    assert rule(missing, held="partition").decide(cart()) == rule(missing).decide(cart())


@pytest.mark.parametrize("missing", [Drop, Wait(9).then(Drop)])
def test_an_unreadable_record_is_dead_lettered_with_its_cause(missing: Any) -> None:
    found = LookedUp(PlainRecord(0, 0, b"c1", b"{"), unreadable="no JSON")
    assert rule(missing).decide(found) == GiveUp(DeadLetter, "no JSON")


def test_a_record_without_a_value_deletes_its_rows_result_or_dead_letters_an_event() -> None:
    assert rule(Drop, rows=True).decide(without_value()) == DeleteResult()
    assert rule(Drop).decide(without_value()) == DeleteResult("the record has no value")


def test_an_invalid_deletion_deletes_nothing() -> None:
    decision = rule(Drop, rows=True).decide(without_value(key=None))
    assert isinstance(decision, GiveUp)
    assert decision.step is DeadLetter
    assert "key" in decision.cause


def test_a_record_can_be_an_invalid_row_only_among_rows() -> None:
    record = PlainRecord(0, 0, b"other", cart().record.value)
    assert "key" in rule(Drop, rows=True).why_invalid(record)
    assert not rule(Drop, rows=True).why_invalid(cart().record)
    assert not rule(Drop).why_invalid(record)
