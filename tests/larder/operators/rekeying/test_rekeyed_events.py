"""Rekeyed events: each goes to the partition of its field, is left out, or is dead-lettered."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder import EventTopic, Row
from larder.counters.rekey_counts import RekeyCounts
from larder.declaring.compiled.joins import compile_rekey
from larder.declaring.missing_fields import Drop
from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of
from larder.operators.rekeying.events import RekeyEventsStep
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent

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
def test_rekeying_keeps_headers_and_order_and_dead_letters_events_without_a_key(
    drawn: list[tuple[bytes | None, bytes | None, Headers]], sizes: list[int]
) -> None:
    delivery = MemoryDelivery()
    output = Output("s.orders.by.customer_id", 3, 500)
    rekeying = RekeyEventsStep(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        output,
        context(INPUT, delivery, LETTERS),
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
    dead = [letter.key for letter in delivery.logs[TopicPartition("letters", 2)]]
    going = {record.offset for each in expected.values() for record in each}
    assert dead == [f"orders/2/{record.offset}".encode() for record in records if record.offset not in going]


def test_the_first_dead_letter_of_each_cause_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    delivery = MemoryDelivery()
    rekeying = RekeyEventsStep(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        context(INPUT, delivery, LETTERS),
        RekeyCounts(),
    )
    values = [b'{"customer_id":null}', b'{"customer_id":null}', None]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    first, second = caplog.messages
    assert first.startswith("input orders: the record at offset 0 of partition 2 cannot be used: ")
    assert second.startswith("input orders: the record at offset 2 of partition 2 cannot be used: ")


def test_the_dead_letter_of_an_event_without_a_key_names_the_field() -> None:
    delivery = MemoryDelivery()
    rekeying = RekeyEventsStep(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        context(INPUT, delivery, LETTERS),
        RekeyCounts(),
    )
    values = [None, b"{", b"{}", b'{"customer_id":null}', b'{"customer_id":7}', b'{"customer_id":"%b"}' % (b"x" * 500)]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    delivery.settle()
    causes = [dict(letter.headers)["larder.cause"].decode() for letter in delivery.logs[TopicPartition("letters", 2)]]
    for cause, expected in zip(
        causes,
        ["no value", "requires JSON", "missing required field", "is null", "got `int`", "at most 500 bytes"],
        strict=True,
    ):
        assert expected in cause


def test_with_drop_null_fields_are_left_out_and_counted_and_unreadable_ones_dead_lettered() -> None:
    delivery, counts = MemoryDelivery(), RekeyCounts()
    rekeying = RekeyEventsStep(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id", missing=Drop)),
        Output("by", 1, 500),
        context(INPUT, delivery, LETTERS),
        counts,
    )
    values = [b'{"customer_id":null}', b"{}", b'{"customer_id":"a"}', b'{"customer_id":null}', None]
    rekeying.process([Sent(offset, 0, b"k", value, ()) for offset, value in enumerate(values)])
    delivery.settle()
    assert [each.value for each in delivery.logs[TopicPartition("by", 0)]] == [values[2]]
    assert [each.key for each in delivery.logs[TopicPartition("letters", 2)]] == [b"orders/2/1", b"orders/2/4"]
    assert counts.dropped == 2


def test_an_event_with_too_large_headers_is_dead_lettered_and_the_others_pass() -> None:
    delivery = MemoryDelivery()
    rekeying = RekeyEventsStep(
        compile_rekey(EventTopic("orders", Order, key="order_id").by("customer_id")),
        Output("by", 3, 500),
        context(INPUT, delivery, LETTERS),
        RekeyCounts(),
    )
    value = b'{"order_id":"o","customer_id":"a"}'
    rekeying.process([Sent(0, 0, b"o", value, [("trace", b"x" * 400)]), Sent(1, 0, b"o", value, [("trace", b"x")])])
    delivery.settle()
    assert [letter.key for letter in delivery.logs[TopicPartition("letters", 2)]] == [b"orders/2/0"]
    assert len(delivery.logs[TopicPartition("by", partition_of(b"a", 3))]) == 1
