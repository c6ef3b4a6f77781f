"""Joins over slices: the fast path over whole slices gives the same results as single records, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service
from larder.counters.join_quality import NEWEST, TEXT_BYTES, JoinCounts, QualityOfJoin
from larder.declaring.compiled.joins import compile_join
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.built import BuiltJoin, built
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent

LARGEST = 600
INPUT = TopicPartition("orders", 0)


class Customer(Row):
    customer_id: str
    name: str = "n" * 20


class Order(Row):
    order_id: str
    customer_id: str | None
    buyer_id: str | None = None
    note: str = ""


class Joined(Order):
    customer: Customer | None
    buyer: Customer | None = None


ROWS = {f"c{number}".encode(): msgspec.json.encode(Customer(customer_id=f"c{number}")) for number in range(3)}


class Rows:
    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        assert None not in keys
        return [ROWS.get(key) for key in keys]


def fitting(order: Order, customer: Customer | None, *others: Customer | None) -> Joined | None:
    """A join's function that fails for some records and wants no result for others."""
    if order.note == "fail":
        message = "as asked"
        raise RuntimeError(message)
    if order.note == "unwanted":
        return None
    rows = {"customer": customer, "buyer": others[0] if others else None}
    return Joined(order_id=order.order_id, customer_id=order.customer_id, note=order.note, **rows)


def joining(*, two: bool = False, function: bool = False, settle: Any = DeadLetter) -> tuple[BuiltJoin, MemoryDelivery]:
    service = Service("s")
    customers = service.global_table(OwnerTopic("customers", Customer, key="customer_id"))
    lookups = [customers.on("customer_id"), *([customers.on("buyer_id", embed="buyer")] if two else [])]
    source, into = EventTopic("orders", Order, key="order_id"), EventTopic("joined", Joined, key="order_id")
    declared = service.join(source, lookups, into=into, missing=settle)
    if function:
        declared(fitting)
    delivery = MemoryDelivery()
    at = context(INPUT, delivery, Output("letters", 4, 1 << 20))
    output = Output("joined", 3, LARGEST)
    compiled = compile_join(declared)
    return built(compiled, [Rows()] * len(lookups), output, at), delivery


IDS = st.sampled_from(["c0", "c1", "c2", "c9", None])
ORDERS = st.fixed_dictionaries(
    {"order_id": st.sampled_from(["o1", "o2", "é"]), "customer_id": IDS},
    optional={
        "buyer_id": IDS,
        "note": st.sampled_from(["", "fail", "unwanted", "x" * 200, "x" * 900]),
        "unknown": st.just({"a": [1]}),
        "customer": st.just({"name": "forged"}),
    },
)
GOOD = ORDERS.map(msgspec.json.encode)
BAD = st.sampled_from(
    [None, b"", b"{", b"[]", b"7", b"null", b'{"order_id":"o1"}', b'{"order_id":"o1","customer_id":5}', b"[" * 9_000]
)
RECORDS = st.lists(st.tuples(st.sampled_from([b"o1", b"o2", None, b"\xff"]), GOOD | GOOD | BAD), max_size=12).map(
    lambda drawn: [Sent(offset, 100 + offset, key, value, ()) for offset, (key, value) in enumerate(drawn)]
)


@given(records=RECORDS, two=st.booleans(), function=st.booleans(), settle=st.sampled_from([DeadLetter, Drop, PassOn]))
def test_a_slice_gives_the_same_results_as_its_records_one_by_one(
    records: list[Sent], *, two: bool, function: bool, settle: Any
) -> None:
    whole, at_once = joining(two=two, function=function, settle=settle)
    single, one_by_one = joining(two=two, function=function, settle=settle)
    whole.process(records)
    for record in records:
        single.process([record])
    assert at_once.pending == one_by_one.pending
    assert whole.counts == single.counts


def test_records_with_a_field_named_like_an_embedded_row_are_counted() -> None:
    join, delivery = joining(two=True)
    orders = [b'{"order_id":"o1","customer_id":"c0","buyer_id":"c0"%b}' % more for more in (b"", b',"buyer":1')]
    join.process([Sent(offset, 100, b"o1", order, ()) for offset, order in enumerate(orders)])
    assert (join.counts.joined, join.counts.overridden) == (2, 1)
    join.process([Sent(2, 100, b"o1", orders[1].replace(b"c0", b"c9", 1), ()), Sent(3, 100, b"o1", orders[1], ())])
    assert (join.counts.joined, join.counts.parked, join.counts.overridden) == (3, 1, 2)
    delivery.settle()


@given(records=RECORDS, two=st.booleans(), function=st.booleans(), settle=st.sampled_from([DeadLetter, Drop, PassOn]))
def test_every_record_has_one_outcome_and_is_counted_by_it(
    records: list[Sent], *, two: bool, function: bool, settle: Any
) -> None:
    join, delivery = joining(two=two, function=function, settle=settle)
    join.process(records)
    delivery.settle()
    joined = [record for tp, log in delivery.logs.items() if tp.topic == "joined" for record in log]
    letters = [record for tp, log in delivery.logs.items() if tp.topic == "letters" for record in log]
    counts = join.counts
    assert counts.joined == len(joined)
    assert counts.parked == len(letters)
    assert counts.joined + counts.parked + counts.dropped + counts.unwanted == len(records)
    assert counts.hits + counts.missing + sum(not readable(record, two=two) for record in records) == len(records)
    assert len({(record.timestamp, record.key) for record in joined}) == len(joined)
    for tp, log in delivery.logs.items():
        if tp.topic == "joined":
            assert all(partition_of(record.key or b"", 3) == tp.partition for record in log)
            assert [record.timestamp for record in log] == sorted(record.timestamp for record in log)
            assert all(len(record.key or b"") + len(record.value or b"") < LARGEST for record in log)


def readable(record: Sent, *, two: bool) -> bool:
    """Return whether the fields by which rows are looked up can be read."""
    try:
        fields = msgspec.json.decode(record.value or b"", type=dict[str, Any])
    except (ValueError, RecursionError):
        return False
    wanted = ("customer_id", "buyer_id") if two else ("customer_id",)
    return "customer_id" in fields and all(isinstance(fields.get(each), str | None) for each in wanted)


def order(**fields: Any) -> bytes:
    return msgspec.json.encode({"order_id": "o1", "customer_id": "c1", **fields})


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "the record has no value"),
        (b"{", "the value requires JSON; found: Input data was truncated"),
        (b"[]", "the value requires the fields of its declared type; found: Expected `object`, got `array`"),
        (b'{"customer_id":7}', "Expected `str | null`, got `int`"),
        (b'{"order_id":"\xff","customer_id":"c1"}', "the value requires JSON; found: 'utf-8' codec can't decode"),
        (b"{}", "missing required field `customer_id`"),
        (b'{"a":' * 5_000, "is nested too deeply"),
        (order(customer_id=None), "customer_id is null"),
        (order(customer_id="c9"), "customers has no row 'c9'"),
        (order(note="x" * 1_000), "a record of joined requires at most 600 bytes"),
    ],
)
def test_a_record_that_cannot_be_joined_is_dead_lettered_with_its_cause(value: bytes | None, cause: str) -> None:
    join, delivery = joining()
    join.process([Sent(0, 1, b"o1", order(), ()), Sent(1, 2, b"o1", value, ()), Sent(2, 3, b"o1", order(), ())])
    delivery.settle()
    joined = [record for tp, log in delivery.logs.items() if tp.topic == "joined" for record in log]
    (letter,) = [record for tp, log in delivery.logs.items() if tp.topic == "letters" for record in log]
    assert [record.timestamp for record in joined] == [1, 3]
    assert (letter.key, letter.value, letter.timestamp) == (b"orders/0/1", value, 2)
    assert cause in dict(letter.headers)["larder.cause"].decode()


def test_a_failing_function_dead_letters_its_record_with_the_error() -> None:
    join, delivery = joining(function=True)
    join.process([Sent(0, 1, b"o1", order(note="fail"), ()), Sent(1, 2, b"o1", order(), ())])
    delivery.settle()
    (letter,) = [record for tp, log in delivery.logs.items() if tp.topic == "letters" for record in log]
    assert dict(letter.headers)["larder.cause"] == b"fitting raised RuntimeError: as asked"
    assert join.counts.joined == 1


def test_a_slice_whose_rows_all_exist_is_counted_at_once_and_not_sampled() -> None:
    join, _ = joining()
    join.process([Sent(offset, 1, b"o1", order(), ()) for offset in range(500)])
    quality = join.quality
    assert (quality.counts.hits, quality.counts.missing) == (500, 0)
    assert not [*quality.missing, *quality.expired, *quality.parked]


def test_the_newest_records_that_lack_a_row_are_sampled_with_the_missing_row() -> None:
    join, _ = joining(two=True)
    join.process(
        [
            Sent(offset, 1, b"o%d" % offset, order(customer_id="c0", buyer_id=f"b{offset}"), ())
            for offset in range(3 * NEWEST)
        ]
    )
    missing, parked = join.quality.missing, join.quality.parked
    assert (
        [sample.offset for sample in missing] == list(range(2 * NEWEST, 3 * NEWEST)) == [each.offset for each in parked]
    )
    assert missing[-1][1:] == (59, b"o59", 1, b"b59", None)
    assert parked[-1][1:] == (59, b"o59", 1, b"b59", "customers has no row 'b59'")
    assert join.quality.counts.missing == join.quality.counts.parked == 3 * NEWEST


def test_the_sample_of_a_huge_key_is_small() -> None:
    join, _ = joining()
    join.process([Sent(0, 1, b"k" * 1_000_000, order(customer_id="c" * 1_000_000), ())])
    (sample,) = join.quality.parked
    assert max(len(sample.key or b""), len(sample.reference or b""), len(sample.cause or "")) <= TEXT_BYTES


def test_the_counts_of_a_join_cover_all_partitions_that_the_worker_has_had() -> None:
    join = QualityOfJoin()
    for partition in (0, 3, 0):
        join.of(partition).counts.hits += 1 + partition
    assert list(join.partitions) == [0, 3]
    assert join.of(0).counts.hits == 2
    assert join.total() == JoinCounts(hits=6)
