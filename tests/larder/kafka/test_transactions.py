"""Transactions on a real broker: all or nothing, and nothing from a fenced member."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from larder.config.connection import Connection
from larder.kafka.clients import end_transaction
from larder.kafka.stable_offsets import stable_offsets
from larder.kafka.transactions import GroupFencedError, Member, TransactionalProducer
from tests.support.topics import create, read, until


@asynccontextmanager
async def grouped(kafka: str, group: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group that has its partitions."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, group_id=group, enable_auto_commit=False, session_timeout_ms=3_000,
        heartbeat_interval_ms=100, fetch_max_wait_ms=50,
    )  # fmt: skip
    await consumer.start()
    try:
        await until(lambda: bool(consumer.assignment()), 20, "an assignment")
        yield consumer
    finally:
        await consumer.stop()


def member_of(consumer: AIOKafkaConsumer) -> Member:
    coordinator = consumer._coordinator
    return Member(coordinator.group_id, coordinator.generation, coordinator.member_id)


async def fenced(kafka: str, stack: AsyncExitStack, topic: str) -> tuple[AIOKafkaConsumer, Member]:
    """A consumer, and the member that it was in the previous generation."""
    first = await stack.enter_async_context(grouped(kafka, topic, topic))
    before = member_of(first)
    await stack.enter_async_context(grouped(kafka, topic, topic))
    assert member_of(first).generation > before.generation
    return first, before


@asynccontextmanager
async def producing(kafka: str, by: str) -> AsyncIterator[TransactionalProducer]:
    producer = TransactionalProducer(by, 60_000, bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.discard()


async def until_read(kafka: str, topic: str, *values: bytes) -> None:
    """Wait until a reader of committed records has these: the broker writes its markers after its answer."""

    async def there() -> bool:
        return [record.value for record in await read(kafka, topic)] == list(values)

    await until(there, 10, f"{values} in {topic}")


async def send(producer: AIOKafkaProducer, topic: str, value: bytes) -> None:
    await (await producer.send(topic, value, partition=0))


async def test_outputs_and_offsets_are_committed_in_one_transaction_after_the_other(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with grouped(kafka, topic, topic) as consumer, producing(kafka, prefix) as producer:
        for turn in range(5):
            await producer.begin(member_of(consumer))
            await producer.begin(member_of(consumer))
            await send(producer, topic, b"%d" % turn)
            assert len(await read(kafka, topic)) == turn
            await producer.commit({one: OffsetAndMetadata(turn, "id by"), other: OffsetAndMetadata(9, "")})
            await until_read(kafka, topic, *(b"%d" % each for each in range(turn + 1)))
        found = await stable_offsets(consumer, [one, other])
    assert found.committed == {one: (4, "id by"), other: (9, "")}
    assert not found.pending


async def test_a_fenced_member_commits_nothing(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    tp = TopicPartition(topic, 0)
    async with AsyncExitStack() as stack:
        consumer, before = await fenced(kafka, stack, topic)
        producer = await stack.enter_async_context(producing(kafka, prefix))
        await producer.begin(before)
        await send(producer, topic, b"a zombie's")
        with pytest.raises(GroupFencedError, match=f"generation {before.generation} of group"):
            await producer.commit({tp: OffsetAndMetadata(7, "")})
        with pytest.raises(KafkaError):
            await producer.begin(before)
        next_one = await stack.enter_async_context(producing(kafka, prefix))
        await next_one.begin(member_of(consumer))
        await send(next_one, topic, b"again")
        await next_one.commit({tp: OffsetAndMetadata(1, "")})
        await until_read(kafka, topic, b"again")
        assert (await stable_offsets(consumer, [tp])).committed == {tp: (1, "")}


async def test_what_aiokafka_itself_sends_is_not_fenced(kafka: str, prefix: str) -> None:
    """The fault that `TransactionalProducer` fixes. If this test fails, it may not be needed any more."""
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    tp = TopicPartition(topic, 0)
    async with AsyncExitStack() as stack:
        consumer, _ = await fenced(kafka, stack, topic)
        producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=prefix)
        await stack.enter_async_context(producer)
        await producer.begin_transaction()
        await send(producer, topic, b"a zombie's")
        await producer.send_offsets_to_transaction({tp: OffsetAndMetadata(7, "")}, topic)
        await producer.commit_transaction()
        await until_read(kafka, topic, b"a zombie's")
        assert (await stable_offsets(consumer, [tp])).committed == {tp: (7, "")}


async def test_a_new_producer_fences_the_one_before_and_ends_its_transaction(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 1})
    tp = TopicPartition(topic, 0)
    async with grouped(kafka, topic, topic) as consumer, producing(kafka, prefix) as first:
        await first.begin(member_of(consumer))
        await send(first, topic, b"lost")
        async with producing(kafka, prefix) as second:
            await second.begin(member_of(consumer))
            await send(second, topic, b"kept")
            await second.commit({tp: OffsetAndMetadata(1, "")})
            await until_read(kafka, topic, b"kept")
            with pytest.raises(ProducerFenced):
                await first.commit({tp: OffsetAndMetadata(2, "")})


async def test_offsets_in_an_open_transaction_are_pending_until_it_ends(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with grouped(kafka, topic, topic) as consumer, producing(kafka, prefix) as producer:
        await producer.begin(member_of(consumer))
        await producer.commit({one: OffsetAndMetadata(1, "before")})
        await producer.begin(member_of(consumer))
        await producer.send_offsets_to_transaction({one: OffsetAndMetadata(2, "never")}, topic)
        found = await stable_offsets(consumer, [one, other])
        assert (found.committed, list(found.pending)) == ({one: (1, "before")}, [one])
        # aiokafka does not ask for stable offsets.
        assert await consumer._coordinator.fetch_committed_offsets([one]) == {one: (1, "before")}
        await end_transaction(Connection(kafka), prefix)

        async def stable() -> bool:
            return not (await stable_offsets(consumer, [one, other])).pending

        await until(stable, 10, "stable offsets")
        assert (await stable_offsets(consumer, [one, other])).committed == {one: (1, "before")}


async def test_missing_offsets_are_left_out(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 1})
    async with grouped(kafka, topic, topic) as consumer:
        asked = [TopicPartition(topic, 0), TopicPartition(topic, 5), TopicPartition(f"{prefix}.none", 0)]
        assert await stable_offsets(consumer, asked) == ({}, [])
        assert await stable_offsets(consumer, []) == ({}, [])


async def test_a_producer_whose_sender_died_raises_the_cause_at_each_step(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 1})
    async with grouped(kafka, topic, topic) as consumer, producing(kafka, prefix) as producer:
        await producer.begin(member_of(consumer))
        producer._txn_manager.fatal_error(ProducerFenced("for a reason"))
        for step in (
            producer.begin(member_of(consumer)),
            producer.send_batch(producer.create_batch(), topic, partition=0),
            producer.commit({TopicPartition(topic, 0): 1}),
        ):
            with pytest.raises(ProducerFenced, match="for a reason"):
                await step


async def test_offsets_that_fail_after_a_cancelled_commit_log_nothing(kafka: str, prefix: str) -> None:
    """As when a worker ends in the middle of a commit: it leaves its group, and has reported why."""
    logged = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    await _cancel_a_commit_that_fails(kafka, prefix)
    gc.collect()
    assert logged == []


async def _cancel_a_commit_that_fails(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    async with AsyncExitStack() as stack:
        _, before = await fenced(kafka, stack, topic)
        producer = await stack.enter_async_context(producing(kafka, prefix))
        await producer.begin(before)
        await send(producer, topic, b"1")
        committing = asyncio.create_task(producer.commit({TopicPartition(topic, 0): OffsetAndMetadata(1, "")}))
        await asyncio.sleep(0)
        committing.cancel()
        await until(producer._txn_manager.is_fatal_error, 10, "the error")


def test_the_overridden_parts_of_aiokafka_exist() -> None:
    for name in ("_do_add_partitions_to_txn", "_do_add_offsets_to_txn", "_do_txn_offset_commit", "_find_coordinator"):
        assert callable(getattr(sender.Sender, name))
    assert list(inspect.signature(sender.TxnOffsetCommitHandler).parameters) == ["sender", "offsets", "group_id"]
    assert list(inspect.signature(sender.Sender._do_txn_offset_commit).parameters) == ["self", "offsets", "group_id"]
    source = inspect.getsource(sender.Sender._sender_routine)
    assert "_maybe_do_transactional_request" in source
    assert "ProducerFenced" in source, "keeps the class of what fences it"


@dataclass(frozen=True)
class Sent:
    """The parts of a batch that a retry uses."""

    tp: TopicPartition


async def test_a_batch_answered_after_its_producer_failed_is_not_sent_again(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`test_aiokafka_itself_removes_a_batch_twice` shows the KeyError."""

    async def again(self: sender.SendProduceReqHandler, _: int) -> None:
        self._sender._message_accumulator.reenqueue(next(iter(self._batches.values())))

    monkeypatch.setattr(sender.SendProduceReqHandler, "do", again)
    async with producing(kafka, prefix) as producer:
        batch = {TopicPartition(prefix, 0): Sent(TopicPartition(prefix, 0))}
        with pytest.raises(KeyError):
            await producer._sender._send_produce_req(0, batch)
        producer._message_accumulator._exception = ProducerFenced()
        await producer._sender._send_produce_req(0, batch)
        producer._message_accumulator._batches.clear()


async def test_aiokafka_itself_removes_a_batch_twice(kafka: str, prefix: str) -> None:
    async with producing(kafka, prefix) as producer:
        batch = Sent(TopicPartition(prefix, 0))
        with pytest.raises(KeyError):
            producer._message_accumulator.reenqueue(batch)
        producer._message_accumulator._batches.clear()
