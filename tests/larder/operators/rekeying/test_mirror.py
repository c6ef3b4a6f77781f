"""Mirrored rows: each goes to the partition of its key, unchanged and in order, deletions too."""

from __future__ import annotations

from collections import defaultdict

from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder.delivery.output import Headers, Output
from larder.kafka.partitioner import partition_of
from larder.operators.rekeying.mirror import MirrorStep
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent

INPUT = TopicPartition("customers", 2)
LETTERS = Output("letters", 4, 1 << 20)
MIRROR = Output("s.customers.mirror", 3, 500)

KEYS = st.sampled_from([b"a", b"b", b"c", None])
VALUES = st.sampled_from([b"{}", b"no JSON", None, b"x" * 600])
HEADERS: st.SearchStrategy[Headers] = st.sampled_from([[], [], [("larder.revision", b"7")], [("trace", b"x" * 600)]])


@given(drawn=st.lists(st.tuples(KEYS, VALUES, HEADERS)), sizes=st.lists(st.integers(1, 7)))
def test_rows_are_mirrored_unchanged_in_the_order_of_their_key(
    drawn: list[tuple[bytes | None, bytes | None, Headers]], sizes: list[int]
) -> None:
    delivery = MemoryDelivery()
    step = MirrorStep(MIRROR, context(INPUT, delivery, LETTERS))
    records = [Sent(offset, 10 * offset, *each) for offset, each in enumerate(drawn)]
    rest = list(records)
    for size in [*sizes, len(records)]:
        step.process(rest[:size])
        rest = rest[size:]
    delivery.settle()
    expected: defaultdict[int, list[Sent]] = defaultdict(list)
    for record in records:
        if record.key is not None and MIRROR.takes(record.key, record.value, list(record.headers)):
            expected[partition_of(record.key, 3)].append(record)
    for partition in range(3):
        found = delivery.logs[TopicPartition(MIRROR.topic, partition)]
        assert [(each.key, each.value, each.timestamp, list(each.headers)) for each in found] == [
            (each.key, each.value, each.timestamp, each.headers) for each in expected[partition]
        ]
    going = {record.offset for each in expected.values() for record in each}
    dead = [letter.key for letter in delivery.logs[TopicPartition("letters", 2)]]
    assert dead == [f"customers/2/{each.offset}".encode() for each in records if each.offset not in going]
