"""Outputs on a real broker: their partitions, order and sizes, and when offsets are committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError
from aiokafka.structs import TopicPartition

from larder.delivery.delivery import Delivery, NotAssignedError
from larder.delivery.guarantees import BATCH_BYTES, AtLeastOnce, Guarantee
from larder.delivery.output import HEADER_OVERHEAD, NO_HEADERS, RECORD_OVERHEAD, Headers, Output
from larder.delivery.refused_records import REFUSALS, Refusals
from larder.kafka.committed import Committed
from larder.kafka.partitioner import partition_of
from tests.support.topics import create, read

INPUT, OTHER = TopicPartition("orders", 3), TopicPartition("orders", 4)
NOW = int(time.time() * 1000)
"""The broker would delete old records sooner or later."""

DEFAULT_LARGEST = 1_048_588


class Commits(list[dict[TopicPartition, int]]):
    """The commits, call by call."""

    async def __call__(self, _: Guarantee, offsets: Mapping[TopicPartition, int]) -> None:
        self.append(dict(offsets))


class Sending:
    """A producer's `send_batch` that waits until it is released."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._send = producer.send_batch
        self.free = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, *args: Any, **settings: Any) -> Any:
        self.waiting.set()
        await self.free.wait()
        return await self._send(*args, **settings)


async def nowhere(_: Mapping[TopicPartition, Committed]) -> None:
    """Commits offsets in place of a group, which are recorded."""


def made(
    producer: AIOKafkaProducer, refusals: Refusals | None = None
) -> tuple[Delivery, Commits, list[str]]:  # fmt: skip
    committed, steps = Commits(), list[str]()
    delivery = Delivery(committed, steps.append, refusals or Refusals(time.time))
    delivery.renew(AtLeastOnce(producer, nowhere))
    delivery.assign([INPUT])
    return delivery, committed, steps


async def test_records_go_to_the_partition_of_javas_partitioner_and_stay_in_order(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 3})
    delivery, _, _ = made(producer)
    keys = [f"k{number % 40}".encode() for number in range(9_000)]
    values = [b"%d " % number + b"x" * 400 for number in range(9_000)]
    times = list(range(NOW, NOW + 9_000))
    for first in range(0, 9_000, 500):
        part = slice(first, first + 500)
        delivery.emit_many(Output(topic, 3, DEFAULT_LARGEST), keys[part], values[part], times[part], by=keys[part])
    assert delivery.full, "more than a batch for each partition"
    await delivery.settle(await delivery.close())
    found = await read(kafka, topic)
    assert len(found) == 9_000
    for partition in range(3):
        mine = [record for record in found if record.partition == partition]
        expected = [place for place, key in enumerate(keys) if partition_of(key, 3) == partition]
        assert [(each.key, each.value, each.timestamp) for each in mine] == [
            (keys[place], values[place], times[place]) for place in expected
        ]


async def test_a_record_may_be_partitioned_by_another_key_than_its_own(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 4})
    delivery, _, _ = made(producer)
    delivery.emit_many(Output(topic, 4, DEFAULT_LARGEST), [b"o1", None], [b"1", None], [NOW, NOW], by=[b"c1", b"c2"])
    await delivery.settle(await delivery.close())
    found = {(each.partition, each.key, each.value) for each in await read(kafka, topic)}
    assert found == {(partition_of(b"c1", 4), b"o1", b"1"), (partition_of(b"c2", 4), None, None)}


async def test_records_with_headers_keep_them_and_stay_in_order(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 2})
    delivery, _, _ = made(producer)
    output, keys = Output(topic, 2, DEFAULT_LARGEST), [f"k{number % 7}".encode() for number in range(100)]
    values = [b"%d" % number for number in range(100)]
    headers: list[Headers] = [[("trace", value), ("null", None)] if value[-1:] in b"37" else [] for value in values]
    for slice_ in range(0, 100, 10):
        part = slice(slice_, slice_ + 10)
        each = headers[part] if slice_ % 20 else None
        delivery.emit_many(output, keys[part], values[part], [NOW] * 10, by=keys[part], headers=each)
    await delivery.settle(await delivery.close())
    found = await read(kafka, topic)
    assert len(found) == 100
    for partition in range(2):
        mine = [place for place, key in enumerate(keys) if partition_of(key, 2) == partition]
        expected = [(values[place], tuple(headers[place] if place // 10 % 2 else ())) for place in mine]
        assert [(each.value, each.headers) for each in found if each.partition == partition] == expected


async def test_a_single_record_keeps_its_partition_headers_and_timestamp(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 2})
    delivery, _, _ = made(producer)
    delivery.emit(Output(topic, 2, DEFAULT_LARGEST), 1, b"k", None, NOW, [("cause", b"why")])
    await delivery.settle(await delivery.close())
    (record,) = await read(kafka, topic)
    assert (record.partition, record.key, record.value, record.timestamp) == (1, b"k", None, NOW)
    assert record.headers == (("cause", b"why"),)


async def test_the_broker_accepts_the_largest_record_that_an_output_accepts(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 1})
    delivery, _, _ = made(producer)
    output = Output(topic, 1, DEFAULT_LARGEST)
    value = b"x" * (DEFAULT_LARGEST - RECORD_OVERHEAD - 1)
    assert output.takes(b"k", value)
    assert not output.takes(b"k", value + b"x")
    headers: Headers = [("trace", b"x" * 400_000), ("ä" * 100, None), *[("", b"")] * 1_000]
    largest = value[: -400_000 - 205 - HEADER_OVERHEAD * 1_002]
    assert output.takes(b"k", largest, headers)
    assert not output.takes(b"k", largest + b"x", headers)
    delivery.emit(output, 0, b"a", b"small", NOW)
    delivery.emit(output, 0, b"k", value, NOW)
    delivery.emit(output, 0, b"h", largest, NOW, headers)
    delivery.emit(output, 0, b"z", b"small", NOW)
    await delivery.settle(await delivery.close())
    assert [record.key for record in await read(kafka, topic)] == [b"a", b"k", b"h", b"z"]


@pytest.mark.parametrize("largest", [500, 5_000, BATCH_BYTES - 1])
async def test_a_topic_with_a_low_limit_gets_small_batches(
    kafka: str, topic: str, producer: AIOKafkaProducer, largest: int
) -> None:
    await create(kafka, {topic: 1}, {"max.message.bytes": str(largest)})
    delivery, _, _ = made(producer)
    output = Output(topic, 1, largest)
    count = 3 * largest // 300 + 5
    keys, values = [b"%d" % number for number in range(count)], [b"x" * 300] * count
    delivery.emit_many(output, keys, values, [NOW] * count, by=keys)
    delivery.emit(output, 0, b"k", b"x" * (largest - RECORD_OVERHEAD - 1), NOW)
    await delivery.settle(await delivery.close())
    assert [record.key for record in await read(kafka, topic)] == [*keys, b"k"]


async def test_a_refusal_names_the_limit_and_the_solution() -> None:
    cause = Output("joined", 1, 1_000).refusal(b"k", b"x" * 2_000)
    assert cause == "a record of joined requires at most 1000 bytes; found 2129; raise max.message.bytes of the topic"


def refusal(
    delivery: Delivery, output: Output, key: bytes, value: bytes, timestamp: int, headers: Headers = NO_HEADERS
) -> str | None:
    """Return why a record cannot be published; None if it can."""
    try:
        delivery.check(output, key, value, timestamp, headers)
    except ValueError as error:
        return str(error)
    return None


async def test_headers_count_towards_the_limit_of_one_record_and_of_many() -> None:
    delivery, _, _ = made(cast("AIOKafkaProducer", None))
    output, headers = Output("joined", 1, 1_000), [("trace", b"x" * 900)]
    assert delivery.takes_all(output, [b"k"], [b"v"])
    assert not delivery.takes_all(output, [b"k", b"k"], [b"v", b"v"], [[], headers])
    cause = refusal(delivery, output, b"k", b"v", NOW, headers)
    assert cause is not None
    assert "at most 1000 bytes; found 1045" in cause


async def test_carried_headers_are_left_out_of_a_record_that_the_topic_would_refuse_with_them(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 1}, {"max.message.bytes": "1000"})
    delivery, _, _ = made(producer)
    output, own, carried = Output(topic, 1, 1_000), [("larder.revision", b"3")], [("tenant", b"x" * 400)]
    sizes = [100, 500, 800]
    values = [b"x" * size for size in sizes]
    delivery.emit_many(output, [b"k"] * 3, values, [NOW] * 3, [b"k"] * 3, [own] * 3, [carried, carried, carried])
    delivery.emit(output, 0, b"k", b"x" * 300, NOW, carried=carried)
    await delivery.settle(await delivery.close())
    found = [(len(each.value), [name for name, _ in each.headers]) for each in await read(kafka, topic)]
    assert found == [
        (100, ["larder.revision", "tenant"]), (500, ["larder.revision"]), (800, ["larder.revision"]), (300, ["tenant"]),
    ]  # fmt: skip
    assert delivery.left_out.counts == {topic: 2}


async def test_offsets_are_committed_after_the_outputs_are_acknowledged(
    kafka: str, topic: str, producer: AIOKafkaProducer
) -> None:
    await create(kafka, {topic: 1})
    delivery, committed, steps = made(producer)
    delivery.emit(Output(topic, 1, DEFAULT_LARGEST), 0, b"k", b"v", NOW)
    delivery.done(INPUT, 5)
    delivery.done(INPUT, 7)
    unit = await delivery.close()
    acknowledged = asyncio.get_running_loop().create_future()
    unit.acknowledgements.append(acknowledged)
    unit.afterwards.append(lambda: steps.append("afterwards"))
    settling = asyncio.create_task(delivery.settle(unit))
    await asyncio.gather(*unit.acknowledgements[:-1])
    done, _ = await asyncio.wait([settling], timeout=0.05)
    assert not done
    assert committed == []
    acknowledged.set_result(None)
    await settling
    assert committed == [{INPUT: 7}]
    assert steps == ["delivery.sent", "delivery.acknowledged", "delivery.committed", "afterwards"]


async def test_a_unit_has_the_work_done_while_it_was_open(kafka: str, topic: str, producer: AIOKafkaProducer) -> None:
    await create(kafka, {topic: 1})
    delivery, committed, _ = made(producer)
    assert (await delivery.close()).empty
    delivery.done(INPUT, 1)
    first = await delivery.close()
    delivery.emit(Output(topic, 1, DEFAULT_LARGEST), 0, b"k", b"v", NOW)
    delivery.done(INPUT, 2)
    second = await delivery.close()
    assert (len(first.acknowledgements), len(second.acknowledgements)) == (0, 1)
    await delivery.settle(first)
    assert committed == [{INPUT: 1}]
    await delivery.settle(second)
    assert committed[-1] == {INPUT: 2}


async def test_a_task_of_an_earlier_assignment_moves_no_committed_offset_back() -> None:
    delivery, committed, _ = made(cast("AIOKafkaProducer", None))
    delivery.assign([INPUT, OTHER])
    delivery.done(INPUT, 5)
    delivery.done(OTHER, 5)
    await delivery.settle(await delivery.close())
    delivery.assign([OTHER])
    for late in (lambda: delivery.touch(INPUT), lambda: delivery.done(INPUT, 5)):
        with pytest.raises(
            NotAssignedError,
            match=r"orders partition 3: requires .* task late of an earlier assignment is still running",
        ):
            await asyncio.create_task(_call(late), name="late")
    delivery.done(OTHER, 6)
    await delivery.settle(await delivery.close())
    assert committed == [{INPUT: 5, OTHER: 5}, {OTHER: 6}]


async def _call(function: Callable[[], None]) -> None:
    function()


async def test_a_reassigned_partition_is_touched_at_its_new_start() -> None:
    delivery, _, _ = made(cast("AIOKafkaProducer", None))
    delivery.done(INPUT, 5)
    await delivery.settle(await delivery.close())
    delivery.assign([])
    delivery.assign([INPUT])
    with pytest.raises(KeyError):
        delivery.touch(INPUT)
    delivery.done(INPUT, 9)
    await delivery.settle(await delivery.close())
    delivery.touch(INPUT)
    assert delivery.unit.offsets == {INPUT: 9}


async def test_a_unit_with_only_calls_to_make_afterwards_is_not_empty(producer: AIOKafkaProducer) -> None:
    delivery, committed, steps = made(producer)
    delivery.unit.afterwards.append(lambda: steps.append("afterwards"))
    unit = await delivery.close()
    assert not unit.empty
    await delivery.settle(unit)
    assert steps[-1] == "afterwards"
    assert committed == []


async def test_a_refused_output_commits_nothing(kafka: str, topic: str, producer: AIOKafkaProducer) -> None:
    await create(kafka, {topic: 1}, {"max.message.bytes": "1000"})
    delivery, committed, steps = made(producer)
    # The topic was changed after it was read.
    delivery.emit(Output(topic, 1, DEFAULT_LARGEST), 0, b"k", b"x" * 5_000, NOW)
    delivery.done(INPUT, 1)
    with pytest.raises(MessageSizeTooLargeError):
        await delivery.settle(await delivery.close())
    assert committed == []
    assert steps == ["delivery.sent"]


async def test_after_some_refusals_records_are_sent_alone_and_the_refused_one_is_found(
    kafka: str, topic: str, new_producer: Callable[[], Awaitable[AIOKafkaProducer]]
) -> None:
    await create(kafka, {topic: 2}, {"message.timestamp.before.max.ms": "3600000"})
    output = Output(topic, 2, DEFAULT_LARGEST)
    keys, times = [b"%d" % number for number in range(100)], [NOW] * 100
    times[60] = NOW - 2 * 3_600_000
    refusals = Refusals(time.time)
    for _ in range(REFUSALS + 1):
        delivery, committed, _ = made(await new_producer(), refusals)
        delivery.emit_many(output, keys, keys, times, by=keys)
        assert refusal(delivery, output, keys[60], keys[60], times[60]) is None
        with pytest.raises(InvalidTimestampError):
            await delivery.settle(await delivery.close())
        assert committed == []
    assert not delivery.takes_all(output, keys, keys)
    refused = [number for number in range(100) if refusal(delivery, output, keys[number], b"", times[number])]
    assert refused == [60]
    delivery, _, _ = made(await new_producer(), refusals)
    delivery.emit_many(
        output, keys[:60] + keys[61:], keys[:60] + keys[61:], times[:60] + times[61:], keys[:60] + keys[61:]
    )
    await delivery.settle(await delivery.close())
    assert {record.key for record in await read(kafka, topic)} == set(keys) - {keys[60]}


async def test_outputs_emitted_while_a_unit_closes_belong_to_the_next(
    kafka: str, topic: str, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table's follower emits it in its own task: its offset and its outputs must not be separated."""
    await create(kafka, {topic: 1})
    delivery, _, _ = made(producer)
    output = Output(topic, 1, DEFAULT_LARGEST)
    delivery.emit(output, 0, b"before", b"v", NOW)
    delivery.done(INPUT, 1)
    sending = Sending(producer)
    monkeypatch.setattr(producer, "send_batch", sending)
    closing = asyncio.create_task(delivery.close())
    await sending.waiting.wait()
    delivery.emit(output, 0, b"meanwhile", b"v", NOW)
    delivery.touch(INPUT)
    sending.free.set()
    first = await closing
    assert (first.offsets, len(first.acknowledgements)) == ({INPUT: 1}, 1)
    await delivery.settle(first)
    assert [record.key for record in await read(kafka, topic)] == [b"before"]
    second = await delivery.close()
    assert (second.offsets, len(second.acknowledgements)) == ({INPUT: 1}, 1)
    await delivery.settle(second)
    assert [record.key for record in await read(kafka, topic)] == [b"before", b"meanwhile"]


async def test_a_cancelled_send_loses_no_output(
    kafka: str, topic: str, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(kafka, {topic: 4})
    delivery, committed, _ = made(producer)
    keys = [b"%d" % number for number in range(4_000)]
    delivery.emit_many(Output(topic, 4, DEFAULT_LARGEST), keys, [b"x" * 1_000] * 4_000, [NOW] * 4_000, by=keys)
    delivery.done(INPUT, 4_000)
    sending = Sending(producer)
    monkeypatch.setattr(producer, "send_batch", sending)
    for step in (delivery.send_full, delivery.close, delivery.close):
        sending.waiting.clear()
        cut = asyncio.create_task(step())
        await sending.waiting.wait()
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
    sending.free.set()
    await delivery.settle(await delivery.close())
    found = await read(kafka, topic)
    assert sorted(int(record.key) for record in found) == list(range(4_000))
    assert committed == [{INPUT: 4_000}]
