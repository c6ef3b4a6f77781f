"""What is done with the records of a partition, by what the partition is for."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder import EventTopic, Row
from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.compiled.joins import compile_rekey
from larder.declaring.missing_fields import Drop
from larder.delivery.dead_letters import Parking
from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of
from larder.local_tables.table import LocalTable
from larder.processing.handlers import Rekeying, TableHandler
from larder.store import Table
from tests.larder.local_tables.test_table import key_in
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.store.samples import Sent as TableSent
from tests.larder.store.samples import customers, row, small_memory

INPUT = TopicPartition("orders", 2)
LETTERS = Output("letters", 4, 1 << 20)


class Order(Row):
    order_id: str
    customer_id: str | None


VALUES = st.one_of(
    st.builds(lambda customer: msgspec.json.encode({"order_id": "o", "customer_id": customer}), st.sampled_from("abc")),
    st.sampled_from([None, b"{", b"{}", b'{"customer_id":null}', b'{"customer_id":"' + b"x" * 600 + b'"}']),
)


HEADERS: st.SearchStrategy[Headers] = st.sampled_from([[], [], [("trace", b"t")], [("a", None), ("a", b"2")]])


@given(
    drawn=st.lists(st.tuples(st.sampled_from([b"o1", None, b"\xff"]), VALUES, HEADERS)),
    sizes=st.lists(st.integers(1, 7)),
)
def test_rekeying_keeps_headers_and_the_order_of_each_new_key_and_parks_what_has_none(
    drawn: list[tuple[bytes | None, bytes | None, Headers]], sizes: list[int]
) -> None:
    delivery = MemoryDelivery()
    parking = Parking("s", INPUT, LETTERS, delivery.as_delivery())
    output = Output("s.orders.by.customer_id", 3, 500)
    rekeying = Rekeying(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        output,
        delivery.as_delivery(),
        parking,
        RekeyCounts(),
    )
    records = [Sent(offset, offset, *each) for offset, each in enumerate(drawn)]
    rest = list(records)
    for size in [*sizes, len(records)]:
        rekeying.process(rest[:size])
        rest = rest[size:]
    delivery.settle()
    expected: defaultdict[int, list[Sent]] = defaultdict(list)
    for record in records:
        if record.value and record.value.endswith((b'"a"}', b'"b"}', b'"c"}')):
            expected[partition_of(record.value[-3:-2], 3)].append(record)
    for partition in range(3):
        log = delivery.logs[TopicPartition(output.topic, partition)]
        assert [(each.key, each.value, each.timestamp, list(each.headers)) for each in log] == [
            (each.key, each.value, each.timestamp, each.headers) for each in expected[partition]
        ]
    parked = [letter.key for letter in delivery.logs[TopicPartition("letters", 2)]]
    going = {record.offset for each in expected.values() for record in each}
    assert parked == [f"orders/2/{record.offset}".encode() for record in records if record.offset not in going]


def test_the_first_dead_letter_of_each_cause_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    delivery = MemoryDelivery()
    rekeying = Rekeying(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        delivery.as_delivery(),
        Parking("s", INPUT, LETTERS, delivery.as_delivery()),
        RekeyCounts(),
    )
    values = [b'{"customer_id":null}', b'{"customer_id":null}', None]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    first, second = caplog.messages
    assert first.startswith("input orders: the record at offset 0 of partition 2 is parked: ")
    assert second.startswith("input orders: the record at offset 2 of partition 2 is parked: ")


def test_an_event_without_a_key_says_what_it_lacks() -> None:
    delivery = MemoryDelivery()
    rekeying = Rekeying(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        delivery.as_delivery(),
        Parking("s", INPUT, LETTERS, delivery.as_delivery()),
        RekeyCounts(),
    )
    values = [None, b"{", b"{}", b'{"customer_id":null}', b'{"customer_id":7}', b'{"customer_id":"%b"}' % (b"x" * 500)]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    delivery.settle()
    causes = [dict(letter.headers)["larder.cause"].decode() for letter in delivery.logs[TopicPartition("letters", 2)]]
    for cause, told in zip(
        causes,
        ["no value", "requires JSON", "missing required field", "is null", "got `int`", "at most 500 bytes"],
        strict=True,
    ):
        assert told in cause


def test_by_leaves_out_and_counts_null_fields_where_missing_is_drop_and_parks_what_cannot_be_read() -> None:
    delivery, counts = MemoryDelivery(), RekeyCounts()
    rekeying = Rekeying(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id", missing=Drop)),
        Output("by", 1, 500),
        delivery.as_delivery(),
        Parking("s", INPUT, LETTERS, delivery.as_delivery()),
        counts,
    )
    values = [b'{"customer_id":null}', b"{}", b'{"customer_id":"a"}', b'{"customer_id":null}', None]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    delivery.settle()
    assert [each.value for each in delivery.logs[TopicPartition("by", 0)]] == [values[2]]
    assert [each.key for each in delivery.logs[TopicPartition("letters", 2)]] == [b"orders/2/1", b"orders/2/4"]
    assert counts.dropped == 2


def test_an_event_whose_headers_are_too_large_is_parked_and_the_others_go_on() -> None:
    delivery = MemoryDelivery()
    rekeying = Rekeying(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        delivery.as_delivery(),
        Parking("s", INPUT, LETTERS, delivery.as_delivery()),
        RekeyCounts(),
    )
    value = b'{"order_id":"o","customer_id":"a"}'
    rekeying.process([Sent(0, 0, b"o", value, [("trace", b"x" * 400)]), Sent(1, 0, b"o", value, [("trace", b"x")])])
    delivery.settle()
    assert [letter.key for letter in delivery.logs[TopicPartition("letters", 2)]] == [b"orders/2/0"]
    assert len(delivery.logs[TopicPartition("by", partition_of(b"a", 3))]) == 1


class Stage:
    """Partition 0 of a co-partitioned table, and where its dead letters go."""

    def __init__(self, directory: Path) -> None:
        self.held = LocalTable(Table(customers, directory, small_memory(), "partition"), 5.0, lambda: 0.0, by_key=True)
        self.held.told("id-1", 4)
        self.held.open([0], "id-1")
        self.delivery = MemoryDelivery()
        parking = Parking("s", TopicPartition("shop.customers", 0), LETTERS, self.delivery.as_delivery())
        self.handler = TableHandler(self.held, 0, parking, self.delivery.as_delivery())

    @property
    def letters(self) -> list[bytes | None]:
        return [letter.key for letter in self.delivery.logs[TopicPartition("letters", 0)]]

    @property
    def unpublished(self) -> list[int]:
        return [record.offset for record in self.held.unpublished(0)]


def test_a_rejected_row_is_published_and_known_to_be_once_that_is_acknowledged(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    good, bad, astray = key_in(0), key_in(0, skip=1), key_in(1)
    stage.handler.process([row(0, good, 1), TableSent(1, bad.encode(), b"{"), row(2, astray, 1)], 3)
    assert stage.unpublished == [1, 2]
    stage.delivery.settle()
    assert stage.letters == [b"shop.customers/0/1", b"shop.customers/0/2"]
    assert stage.unpublished == []
    stage.held.close()


def test_what_was_not_acknowledged_is_published_again_by_whoever_opens_the_store(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.handler.process([TableSent(0, key_in(0).encode(), b"{", 77, [("trace", b"t")])], 1)
    stage.delivery.crash(lambda _: 0)
    stage.held.close()
    again = Stage(tmp_path)
    again.handler.publish_left_over()
    again.delivery.settle()
    (letter,) = again.delivery.logs[TopicPartition("letters", 0)]
    assert (letter.key, letter.value, letter.timestamp) == (b"shop.customers/0/0", b"{", 77)
    assert dict(letter.headers)["trace"] == b"t"
    assert "requires JSON" in dict(letter.headers)["larder.cause"].decode()
    again.held.close()
    third = Stage(tmp_path)
    third.handler.publish_left_over()
    assert not third.delivery.pending
    third.held.close()


def test_a_partition_that_was_closed_meanwhile_is_no_failure(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.handler.process([TableSent(0, key_in(0).encode(), b"{")], 1)
    stage.held.close()
    stage.delivery.settle()
    assert len(stage.letters) == 1
