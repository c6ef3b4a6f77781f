"""Reactions to changes over a real store: each change is emitted once, in any batches and after any crash."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import example, given, settings
from hypothesis import strategies as st

from larder import EventTopic, Row, Service
from larder.counters.operator_counts import ReactionCounts
from larder.declaring.compiled.reactions import compile_reaction
from larder.delivery.output import Output
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators.reactions import Begun, Reacting, ReactingHandler
from larder.store import Table
from larder.types import UNKNOWN, Unknown
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery
from tests.larder.store.samples import Customer, Sent, customers, gone, row, small_memory

TP = TopicPartition("shop.customers", 0)


class Change(Row):
    customer_id: str
    old: str | None
    new: str | None


changes = EventTopic("changes", Change, key="customer_id")


def named(customer: Customer | Unknown | None) -> str | None:
    return "?" if customer is UNKNOWN else customer and customer.name


class Worker:
    """Partition 0 of customers with a reaction; `delivery` and `directory` survive it."""

    def __init__(self, directory: Path, delivery: MemoryDelivery, end: int) -> None:
        self.held = LocalTable(Table(customers, directory, small_memory(), "partition"), TableRole(), 5.0, lambda: 0.0)
        self.held.set_topic("id-1", 1)
        self.held.open([0])
        self.delivery = delivery
        committed = delivery.committed.get(TP, 0)
        self.held.rebuild_if_ahead(0, committed)
        service = Service("s")

        @service.on_change(service.table(customers), into=changes)
        def changed(old: Customer | None, new: Customer | None) -> Change:
            known = new if isinstance(new, Customer) else old
            key = known.customer_id if isinstance(known, Customer) else "?"
            return Change(customer_id=key, old=named(old), new=named(new))

        (reaction,) = service.reactions
        reacting = Reacting(compile_reaction(reaction), [Output("changes", 1, 1_000_000)])
        at = context(TP, delivery, Output("letters", 1, 1_000_000), self.held, operators=[reaction])
        self.counts = at.counts.of(reaction, ReactionCounts)
        self.handler = ReactingHandler(at, [reacting], Begun(committed, end))

    @property
    def position(self) -> int:
        return self.held.position(0)

    def close(self) -> None:
        self.held.close()


def emitted(delivery: MemoryDelivery) -> list[tuple[str, str | None, str | None]]:
    sent = [msgspec.json.decode(each.value or b"") for each in delivery.logs[TopicPartition("changes", 0)]]
    return [(each["customer_id"], each["old"], each["new"]) for each in sent]


def one_by_one(records: Sequence[Sent]) -> list[tuple[str, str | None, str | None]]:
    """Return the expected events, by a model without batches and stores."""
    rows: dict[str, str | None] = {}
    revisions: dict[str, int] = {}
    found = []
    for record in records:
        key = (record.key or b"").decode()
        body = None if record.value is None else msgspec.json.decode(record.value)
        revision = int(dict(record.headers)["larder.revision"] or b"") if body is None else body["revision"]
        if revision <= revisions.get(key, -1):
            continue
        revisions[key] = revision
        before, after = rows.get(key), None if body is None else body["name"]
        if before != after:
            found.append((key, before, after))
        rows[key] = after
    return found


RECORDS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from(["x", "y", None])), min_size=1, max_size=12
)
STEPS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["settle", "go on", "crash", "crash stored"])), max_size=12
)


def test_changes_emitted_events_and_dead_letters_are_counted(tmp_path: Path) -> None:
    worker = Worker(tmp_path, MemoryDelivery(exactly_once=True), 4)
    no_json = Sent(2, b"c", b"{")
    worker.handler.process([row(0, "a", 1, name="x"), row(1, "b", 1, name="x"), no_json, row(3, "a", 2, name="y")], 4)
    assert worker.counts == ReactionCounts(changes=3, emitted=3, parked=1)
    worker.close()


@settings(max_examples=60)
@given(RECORDS, STEPS)
@example([("a", 0, "x"), ("a", 1, "y"), ("a", 2, "x")], [(1, "settle"), (1, "go on"), (1, "crash")])
@example([("a", 0, "x"), ("a", 0, "y")], [(2, "crash stored")])
def test_through_any_crash_each_change_is_emitted_once_with_the_row_before_it(
    given_: list[tuple[str, int, str | None]], steps: list[tuple[int, str]]
) -> None:
    records = [
        gone(at, key, revision) if name is None else row(at, key, revision, name=name)
        for at, (key, revision, name) in enumerate(given_)
    ]
    delivery = MemoryDelivery(exactly_once=True)
    with tempfile.TemporaryDirectory() as directory:
        worker = Worker(Path(directory), delivery, len(records))
        at = worker.position
        for count, then in [*steps, (len(records), "settle")]:
            part = [each for each in records[at:] if each.offset < at + count]
            worker.handler.process(part, min(at + count, len(records)))
            at = min(at + count, len(records))
            if then == "settle":
                delivery.settle()
            elif then == "crash":
                delivery.crash(lambda _: 0)
            elif then == "crash stored":
                # The transaction is committed, and the process ends before the rows are stored.
                delivery.unit.afterwards.clear()
                delivery.settle()
            if then.startswith("crash"):
                worker.close()
                worker = Worker(Path(directory), delivery, len(records))
                at = worker.position
        worker.handler.process(records[at:], len(records))
        delivery.finish()
        assert worker.position == len(records)
        worker.close()
    assert emitted(delivery) == one_by_one(records)


def test_a_row_that_compaction_may_have_removed_is_unknown_not_absent(tmp_path: Path) -> None:
    delivery = MemoryDelivery(exactly_once=True)
    delivery.committed[TP] = 5
    worker = Worker(tmp_path, delivery, 8)
    # Offsets 0 to 2 are gone: they may have held an older row of "a", or it may be new at offset 6.
    worker.handler.process([row(3, "b", 1, name="b1"), row(4, "c", 1, name="c1")], 5)
    worker.handler.process([row(6, "a", 2, name="a2"), row(7, "b", 2, name="b2"), row(8, "d", 1, name="d1")], 9)
    delivery.settle()
    assert emitted(delivery) == [("a", "?", "a2"), ("b", "b1", "b2"), ("d", None, "d1")]
    worker.close()


def bad(offset: int, key: str) -> Sent:
    return Sent(offset, key.encode(), b"{}")


@pytest.mark.parametrize("ends", ["never", "stored", "unstored"])
def test_an_old_row_that_is_no_longer_readable_is_unknown_not_absent(tmp_path: Path, ends: str) -> None:
    delivery = MemoryDelivery(exactly_once=True)
    delivery.committed[TP] = 3
    worker = Worker(tmp_path, delivery, 3)
    worker.handler.process([bad(0, "a"), bad(1, "b"), row(2, "c", 1, name="c1")], 3)
    worker.handler.process([bad(3, "d"), row(4, "c", 2, name="c2")], 5)
    if ends == "stored":
        delivery.settle()
    if ends != "never":
        worker.close()
        delivery.unit.afterwards.clear()
        delivery.settle()
        worker = Worker(tmp_path, delivery, 5)
    later = [row(5, "a", 2, name="a2"), gone(6, "b", 2), row(7, "d", 1, name="d1"), row(8, "a", 3, name="a3")]
    worker.handler.process([each for each in [bad(3, "d"), row(4, "c", 2, name="c2")] if ends == "unstored"], 5)
    worker.handler.process(later, 9)
    worker.handler.process([gone(9, "a", 4), gone(10, "b", 3), row(11, "e", 1, name="e1")], 12)
    delivery.finish()
    assert emitted(delivery) == [
        ("c", "c1", "c2"), ("a", "?", "a2"), ("?", "?", None), ("d", "?", "d1"), ("a", "a2", "a3"), ("a", "a3", None),
        ("e", None, "e1"),
    ]  # fmt: skip
    worker.close()


def test_the_last_valid_row_is_the_old_one_whatever_was_rejected_since(tmp_path: Path) -> None:
    delivery = MemoryDelivery(exactly_once=True)
    worker = Worker(tmp_path, delivery, 0)
    worker.handler.process([row(0, "a", 1, name="a1"), bad(1, "a")], 2)
    delivery.settle()
    worker.close()
    worker = Worker(tmp_path, delivery, 2)
    worker.handler.process([row(2, "a", 2, name="a2")], 3)
    delivery.settle()
    assert emitted(delivery) == [("a", None, "a1"), ("a", "a1", "a2")]
    worker.close()


def test_invalid_rows_are_dead_lettered_in_the_same_unit_and_the_others_are_emitted(tmp_path: Path) -> None:
    delivery = MemoryDelivery(exactly_once=True)
    worker = Worker(tmp_path, delivery, 2)
    worker.handler.process([Sent(0, b"a", b"{"), row(1, "b", 1, name="b1")], 2)
    delivery.settle()
    (letter,) = delivery.logs[TopicPartition("letters", 0)]
    assert letter.key == b"shop.customers/0/0"
    assert emitted(delivery) == [("b", None, "b1")]
    assert worker.position == 2
    worker.close()
