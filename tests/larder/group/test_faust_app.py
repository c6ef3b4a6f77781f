"""The Faust application on a real broker: whole batches in order from wanted positions, and no commits by Faust."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import faust
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables.manager import TableManager
from faust.transport import consumer as transport
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlQueue

from larder.config.connection import Connection
from larder.group import consumer_thread, faust_app, faust_consumer
from larder.group.assignor import Assignor
from larder.group.consumer_thread import Group
from larder.group.faust_app import App
from larder.group.faust_consumer import Consumer
from larder.kafka.batch_consumer import Batch, ObservedEnd
from larder.kafka.committed import Committed
from larder.local_broker.ports import free_port
from tests.support.proxy import Proxy
from tests.support.topics import Sent, admin, create, send, until


class Taken:
    """An intake that accepts everything, from the given positions or from the beginning."""

    def __init__(self, positions: Mapping[TopicPartition, int] | None = None) -> None:
        self.epoch = 0
        self.positions = dict(positions or {})
        self.batches: list[tuple[Batch, int]] = []
        self.ends: dict[TopicPartition, ObservedEnd] = {}
        self.stored: dict[TopicPartition, int] = {}
        self.standbys: Collection[TopicPartition] = ()
        self.lost: dict[TopicPartition, int] = {}
        self.assigned: list[TopicPartition] = []
        self.failures: list[BaseException] = []
        self.fails = False
        self.unwanted: set[TopicPartition] = set()

    def wanted(self) -> Collection[TopicPartition]:
        return [tp for tp in self.assigned if tp not in self.unwanted]

    def observe_ends(self, ends: Mapping[TopicPartition, ObservedEnd]) -> None:
        self.ends.update(ends)

    async def put(self, batch: Batch, epoch: int) -> None:
        if self.fails:
            message = "as asked"
            raise RuntimeError(message)
        if epoch == self.epoch:
            self.batches.append((batch, epoch))

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        self.lost.update(positions)

    def fail(self, reason: BaseException) -> None:
        self.failures.append(reason)

    async def revoked(self) -> None:
        self.epoch += 1
        self.assigned = []

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        self.epoch += 1
        self.standbys = frozenset(standbys)
        self.assigned = sorted(assigned)
        return {tp: self.positions.get(tp, 0) for tp in assigned}

    def offsets(self, tp: TopicPartition) -> list[int]:
        return [record.offset for batch, _ in self.batches if batch.tp == tp for record in batch.records]


@asynccontextmanager
async def member(
    kafka: str, group: str, intake: Taken, topics: Collection[str], name: str = "", session: float = 3.0, **more: Any
) -> AsyncIterator[App]:
    """A member of a group, with a unique name unless one is given."""
    named = Group(group, name or uuid4().hex, Connection(kafka), session, 0.3, 30.0, 1 << 20, **more)
    app = App(named, intake, topics)
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def committed(kafka: str, group: str) -> dict[TopicPartition, int]:
    async with admin(kafka) as client:
        found = await client.list_consumer_group_offsets(group)
    return {tp: each.offset for tp, each in found.items() if each.offset >= 0}


async def test_whole_batches_arrive_in_order_from_the_wanted_position(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 2})
    await send(kafka, topic, [Sent("k", b"%d" % number, number % 2) for number in range(2_000)])
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    intake = Taken({one: 0, other: 700})
    async with member(kafka, topic, intake, [topic]):
        await until(lambda: len(intake.offsets(one)) == 1_000 and len(intake.offsets(other)) == 300, 20, "all records")
        assert intake.offsets(one) == list(range(1_000))
        assert intake.offsets(other) == list(range(700, 1_000))
        assert max(len(batch.records) for batch, _ in intake.batches) > 50, "batches, not single records"
        await until(lambda: {seen.end for seen in intake.ends.values()} == {1_000}, 5, "ends of both partitions")
    assert intake.failures == []


async def test_the_worker_joins_the_group_without_a_pause(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(kafka, {topic: 1})
    waited = []

    async def sleep(_: TableManager, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(TableManager, "sleep", sleep)
    intake = Taken()
    async with member(kafka, topic, intake, [topic]):
        await until(lambda: intake.assigned, 20, "the partition")
    assert waited == []


async def test_faust_commits_nothing(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")] * 10)
    tp, intake = TopicPartition(topic, 0), Taken()
    async with member(kafka, topic, intake, [topic]) as app:
        await until(lambda: len(intake.offsets(tp)) == 10, 20, "all records")
        # Faust commits at intervals, on request, and when it waits for its streams to be empty.
        await app.consumer.commit()
        await app.consumer.wait_empty()
        assert await committed(kafka, topic) == {}
        await cast("Consumer", app.consumer).commit_offsets({tp: Committed(7, "id-1")})
        assert await committed(kafka, topic) == {tp: 7}
        offsets = await cast("Consumer", app.consumer).offsets([tp])
        assert (offsets.committed, offsets.begins, offsets.ends) == ({tp: Committed(7, "id-1")}, {tp: 0}, {tp: 10})
        await send(kafka, topic, [("k", b"v")])
        await until(lambda: len(intake.offsets(tp)) == 11, 10, "one more record")
    assert await committed(kafka, topic) == {tp: 7}, "nor does it commit when it stops"


async def test_offsets_of_partitions_of_other_members_can_be_read(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    async with AsyncExitStack() as stack:
        first, second = Taken(), Taken()
        app = cast("App", await stack.enter_async_context(member(kafka, prefix, first, [topic])))
        await stack.enter_async_context(member(kafka, prefix, second, [topic]))
        await until(lambda: len(first.assigned) == len(second.assigned) == 1, 20, "a partition for each")
        consumer = cast("Consumer", app.consumer)
        await consumer.commit_offsets({first.assigned[0]: Committed(0, "id-1")})
        offsets = await consumer.offsets([])
        assert offsets.committed == {}
        offsets = await consumer.offsets(first.assigned)
        assert offsets.committed == {first.assigned[0]: Committed(0, "id-1")}
        assert offsets.begins.keys() == set(first.assigned)


async def test_only_committed_records_arrive(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"aborted")
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"committed")
    await producer.stop()
    tp, intake = TopicPartition(topic, 0), Taken()
    async with member(kafka, topic, intake, [topic]):
        await until(lambda: any(batch.position == 4 for batch, _ in intake.batches), 20, "the position at the end")
    assert [record.value for batch, _ in intake.batches for record in batch.records] == [b"committed"]
    assert intake.offsets(tp) == [2]


async def test_a_lost_position_is_reported_and_never_reset(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")] * 3)
    tp = TopicPartition(topic, 0)
    intake = Taken({tp: 99})
    async with member(kafka, topic, intake, [topic]) as app:
        await until(lambda: intake.lost == {tp: 99}, 20, "a lost position")
        assert intake.batches == []
        intake.positions[tp] = 1
        await cast("Consumer", app.consumer).rewind()
        await until(lambda: intake.offsets(tp) == [1, 2], 10, "the rest")


async def test_unwanted_partitions_wait_without_delaying_others(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 2})
    await send(kafka, topic, [Sent("k", b"v", number % 2) for number in range(20)])
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    intake = Taken()
    intake.unwanted = {one}
    async with member(kafka, topic, intake, [topic]):
        await until(lambda: len(intake.offsets(other)) == 10, 20, "the other partition")
        assert intake.offsets(one) == []
        intake.unwanted = set()
        await until(lambda: intake.offsets(one) == list(range(10)), 10, "the partition that waited")


async def test_after_a_rewind_everything_is_read_again_whatever_faust_notes_late(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")] * 10)
    tp, intake = TopicPartition(topic, 0), Taken()
    async with member(kafka, topic, intake, [topic]) as app:
        await until(lambda: len(intake.offsets(tp)) == 10, 20, "all records")
        noted = dict(app.consumer._read_offset)
        assert noted, "Faust notes the offsets of delivered records"
        intake.batches.clear()
        await cast("Consumer", app.consumer).rewind()
        app.consumer._read_offset.update(noted)
        await until(lambda: intake.offsets(tp) == list(range(10)), 10, "all records again")


async def test_after_a_seek_nothing_is_read_until_flow_resumes(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")] * 10)
    tp, intake = TopicPartition(topic, 0), Taken({TopicPartition(topic, 0): 3})
    async with member(kafka, topic, intake, [topic]) as app:
        await until(lambda: len(intake.offsets(tp)) == 7, 20, "all records from there on")
        intake.batches.clear()
        # Flow was not stopped before, as when one rebalance overtakes another, or nothing was assigned.
        await app.consumer.perform_seek()
        with pytest.raises(AssertionError, match="a batch"):
            await until(lambda: intake.batches, 0.5, "a batch")
        app.flow_control.resume()
        app.consumer.resume_flow()
        await until(lambda: intake.offsets(tp) == list(range(3, 10)), 10, "all records again, each once")


async def test_flow_resumed_during_a_rewind_resumes_after_it(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")] * 10)
    tp, intake = TopicPartition(topic, 0), Taken()
    async with member(kafka, topic, intake, [topic]) as app:
        await until(lambda: len(intake.offsets(tp)) == 10, 20, "all records")
        consumer, start, seen = cast("Consumer", app.consumer), intake.start, list[bool]()

        async def slowly(*args: Any) -> Mapping[TopicPartition, int]:
            consumer.resume_flow()
            seen.append(consumer.flow_active)
            return await start(*args)

        intake.start = slowly  # type: ignore[method-assign]
        consumer.stop_flow()
        intake.batches.clear()
        await consumer.rewind()
        assert seen == [False]
        await until(lambda: intake.offsets(tp) == list(range(10)), 10, "all records again, each once")


async def test_faust_empties_the_queues_of_its_agents_when_flow_resumes(kafka: str, topic: str) -> None:
    """This is why flow must not resume during a rewind. If this test ever fails, seeking may become simpler."""
    await create(kafka, {topic: 1})
    async with member(kafka, topic, Taken(), [topic]) as app:
        queue = FlowControlQueue[str](flow_control=app.flow_control, clear_on_resume=True)
        queue.put_nowait("a batch")
        app.flow_control.resume()
        assert queue.empty()


@pytest.mark.parametrize("members", [1, 3])
async def test_equal_partition_numbers_stay_together_without_faust_tables(
    kafka: str, prefix: str, members: int
) -> None:
    """Stock Faust falls back to round-robin for an application without tables."""
    topics = [f"{prefix}.{name}" for name in ("customers", "orders", "waiting")]
    await create(kafka, dict.fromkeys(topics, 6))
    intakes = [Taken() for _ in range(members)]
    async with AsyncExitStack() as stack:
        for intake in intakes:
            await stack.enter_async_context(member(kafka, prefix, intake, topics))

        def all_there() -> bool:
            return all(intake.assigned for intake in intakes) and sum(len(each.assigned) for each in intakes) == 18

        await until(all_there, 30, "all partitions assigned")
        for intake in intakes:
            by_topic = defaultdict(set)
            for tp in intake.assigned:
                by_topic[tp.topic].add(tp.partition)
            assert len(by_topic) == 3
            assert len({frozenset(partitions) for partitions in by_topic.values()}) == 1, intake.assigned
        assert {len(intake.assigned) for intake in intakes} == {18 // members}


async def test_the_group_is_assigned_by_our_assignor_with_and_without_faust_tables(kafka: str, prefix: str) -> None:
    for tables in (False, True):
        app = App(Group(prefix, "one", Connection(kafka), 3.0, 0.3, 30.0, 1 << 20), Taken(), [f"{prefix}.in"])
        if tables:
            app.Table("counts", partitions=2)
        thread = cast("Consumer", app.consumer)._new_consumer_thread()
        made = thread._create_worker_consumer(app.consumer.transport)
        assert list(made._partition_assignment_strategy) == [app.assignor]
        assert isinstance(app.assignor, Assignor)


async def test_the_others_get_the_partitions_of_a_member_that_leaves(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 4})
    staying, leaving = Taken(), Taken()
    async with member(kafka, prefix, staying, [topic]):
        async with member(kafka, prefix, leaving, [topic]):
            await until(lambda: len(staying.assigned) == len(leaving.assigned) == 2, 30, "two partitions for each")
            before = staying.epoch
        await until(lambda: len(staying.assigned) == 4, 10, "all partitions for the one that stays")
        assert staying.epoch >= before + 2, "revoked, then assigned again"
        await send(kafka, topic, [Sent("k", b"v", partition) for partition in range(4)])
        await until(lambda: len({batch.tp for batch, _ in staying.batches}) == 4, 10, "records of all partitions")


async def test_a_failure_to_take_batches_is_reported(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"v")])
    intake = Taken()
    intake.fails = True
    async with member(kafka, topic, intake, [topic]):
        await until(lambda: intake.failures, 20, "a failure")
    assert str(intake.failures[0]) == "as asked"


def test_a_consumer_that_outlives_its_worker_stops_silently(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens under load, or if the broker does not answer: the worker waits for some seconds only."""
    stop, uncaught = consumer_thread.Thread.on_thread_stop, list[object]()

    async def stop_late(thread: consumer_thread.Thread) -> None:
        await stop(thread)
        await until(thread.parent_loop.is_closed, 10, "the end of the worker's loop")

    monkeypatch.setattr(consumer_thread.Thread, "on_thread_stop", stop_late)
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    with asyncio.Runner() as runner:
        runner.run(create(kafka, {topic: 1}))
        thread = runner.run(_begin_to_stop(kafka, topic))
    thread.join(20)
    assert not thread.is_alive()
    assert uncaught == []


def test_a_request_to_a_consumer_whose_loop_is_ending_is_cancelled(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would neither end nor be cancelled, and the stopping worker would log a traceback."""
    gather, asked = consumer_thread.Thread._gather_remaining_tasks, list[Future[None]]()

    async def ask_late(thread: consumer_thread.Thread) -> None:
        await gather(thread)
        if not asked:
            asked.append(asyncio.run_coroutine_threadsafe(asyncio.sleep(60), thread.thread_loop))

    monkeypatch.setattr(consumer_thread.Thread, "_gather_remaining_tasks", ask_late)
    with asyncio.Runner() as runner:
        runner.run(create(kafka, {topic: 1}))
        thread = runner.run(_begin_to_stop(kafka, topic))
    thread.join(20)
    assert [each.cancelled() for each in asked] == [True]


def test_a_question_to_a_consumer_whose_loop_has_ended_is_cancelled(kafka: str, topic: str) -> None:
    """Its loop is closed: the question would wait, and its cancellation would log a traceback."""

    async def ask_afterwards() -> None:
        app = App(Group(topic, "one", Connection(kafka), 3.0, 0.3, 30.0, 1 << 20), Taken(), [topic])
        await app.start()
        consumer = cast("Consumer", app.consumer)
        await app.stop()
        await asyncio.to_thread(cast("threading.Thread", consumer._thread._thread or threading.Thread()).join, 20)
        await consumer._thread.check_group()
        with pytest.raises(asyncio.CancelledError):
            await consumer._thread.fetch([])

    with asyncio.Runner() as runner:
        runner.run(create(kafka, {topic: 1}))
        runner.run(ask_afterwards())


async def _begin_to_stop(kafka: str, topic: str) -> threading.Thread:
    """The thread of a consumer that is stopping."""
    app = App(Group(topic, "one", Connection(kafka), 3.0, 0.3, 30.0, 1 << 20), Taken(), [topic])
    await app.start()
    thread = cast("Consumer", app.consumer)._thread._thread
    assert thread is not None
    await asyncio.wait({asyncio.create_task(app.stop())}, timeout=0.5)
    return thread


OVERRIDDEN = {
    consumer_thread.Thread: (
        driver.AIOKafkaConsumerThread,
        ["_create_worker_consumer", "verify_event_path", "_start_thread", "set_shutdown"],
    ),
    faust_consumer.Consumer: (
        transport.Consumer,
        ["getmany", "perform_seek", "commit", "wait_empty", "_add_gap", "ack", "_new_consumer_thread", "resume_flow"],
    ),
    Assignor: (
        PartitionAssignor,
        ["metadata", "assign", "on_assignment", "assigned_actives", "assigned_standbys"],
    ),
    faust_consumer.Transport: (driver.Transport, ["create_consumer"]),
    faust_app.BatchTopic: (faust.Topic, ["_compile_decode"]),
    faust_app.Boot: (BootStrategy, ["kafka_producer", "kafka_consumer", "web_server", "sensors"]),
    faust_app.NoTables: (TableManager, ["on_start"]),
    faust_app.App: (faust.App, ["_new_transport", "_create_directories", "_on_partitions_revoked", "_crash"]),
}


@pytest.mark.parametrize(
    ("ours", "theirs", "name"), [(ours, theirs, name) for ours, (theirs, names) in OVERRIDDEN.items() for name in names]
)
def test_the_overridden_parts_of_faust_have_the_same_arguments(ours: type, theirs: type, name: str) -> None:
    """If Faust renamed a part, our override would silently have no effect."""
    assert name in vars(ours)
    parents = [parent for parent in ours.__mro__[1:] if name in vars(parent)]
    assert parents, f"{name} is no longer a part of {theirs.__name__}"
    assert asyncio.iscoroutinefunction(vars(ours)[name]) == asyncio.iscoroutinefunction(vars(parents[0])[name])
    wanted = [each for each in inspect.signature(vars(parents[0])[name]).parameters.values() if each.name != "self"]
    taken = inspect.signature(vars(ours)[name]).parameters.values()
    assert any(each.kind is each.VAR_POSITIONAL for each in taken) or len(wanted) == len(taken) - 1


async def test_joining_the_group_waits_for_an_unreachable_broker(kafka: str, topic: str) -> None:
    proxy = Proxy(free_port(), int(kafka.rpartition(":")[2]))
    proxy.set("cut")
    await proxy.start()
    consumer = consumer_thread.GroupConsumer(bootstrap_servers=f"127.0.0.1:{proxy.port}", group_id=topic)
    starting = asyncio.create_task(consumer.start())
    try:
        await until(lambda: proxy.refused > 1 or starting.done(), 20, "two attempts")
        proxy.set("open")
        await asyncio.wait_for(starting, 20)
    finally:
        await consumer.stop()
        await proxy.stop()
