"""Faust as the harness: its worker, agents, consumer group and assignment, delivering whole batches.

The one module that subclasses or overrides parts of Faust (0.15.3). What is changed, and why:

* the consumer hands on one message for each fetched batch, not for each record (a hundred times
  fewer queue steps), reads committed records only and never resets an offset by itself;
* Faust's own assignor is always used: stock Faust falls back to round-robin for an application
  without Faust tables, which is not co-partitioned (`faust/transport/drivers/aiokafka.py`);
* offsets are committed by our own hand only, with the outputs or after them: Faust's commit
  handler, `wait_empty` and stop would commit what was merely handed to an agent;
* at an assignment every partition is sought explicitly, to where `Intake.start` says.

Knows partitions and batches, neither tables nor joins. `tests/agents/engine/test_harness.py` fails
when Faust changes under it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

import faust
from aiokafka.errors import CommitFailedError, InvalidSessionTimeoutError, NoError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage, Message
from mode.threads import ServiceThread, WorkerThread

from agents.engine.fetching import Batch, BatchConsumer, Fetched, Seen, fetch
from agents.engine.guarantees import Committed
from agents.engine.stable_offsets import stable_offsets
from agents.engine.topic_ids import Described, describe
from agents.engine.transactions import Member
from tables.declaring.problems import LarderError, Problem

if TYPE_CHECKING:
    from mode.types import ServiceT

T = TypeVar("T")

POLL_SECONDS = 0.1
"""How long one look at the consumer may wait: a partition that becomes wanted meanwhile waits no longer."""

FETCH_WAIT_MS = 50
"""How long the broker may hold back an empty answer. aiokafka has one request in flight for each broker,
so a partition whose records were just taken waits this long at worst for its next ones."""

METADATA_MS = 5_000
"""How often topics are looked at for new partitions, and for having been deleted and made anew."""

BATCH_RECORDS = 4_000
"""Records taken at one look: enough that the hand-over costs nothing, few enough to stay responsive."""


class SessionRefusedError(LarderError):
    """The broker does not take sessions of that length."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            str(Problem(
                "setting session_timeout_s",
                "requires what the broker takes (group.min.session.timeout.ms, group.max.session.timeout.ms)",
                f"{seconds:g}, which it refuses",
                "raise it (stock brokers take 6 and more), or change the broker",
            ))
        )  # fmt: skip


class Group(NamedTuple):
    """How this worker is a member of its consumer group; times are in seconds."""

    name: str
    member: str
    """The worker's transactional id, by which others know whether it is still there."""
    brokers: str
    session_timeout: float
    heartbeat: float
    max_poll_interval: float
    fetch_bytes: int
    owned: frozenset[str] = frozenset()
    """Topics that this service alone writes: they end where the last of their records lies, committed or not."""


class Intake(Protocol):
    """Where batches go, and who decides where partitions start."""

    def wanted(self) -> Collection[TopicPartition]:
        """Partitions whose records can be taken now."""

    def seen(self, ends: Mapping[TopicPartition, Seen]) -> None:
        """Ends of partitions as the broker last told them."""

    async def put(self, batch: Batch, epoch: int) -> None:
        """Take a batch that was fetched in `epoch`."""

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has (or does not yet have) these positions."""

    @property
    def epoch(self) -> int:
        """Rises at each revoke, assignment and rewind."""

    async def revoked(self) -> None:
        """All partitions are about to be taken away; what is done may still be committed."""

    async def start(self, assigned: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Make ready for the assigned partitions; answer the offset at which each is to be read."""


class DaemonThread(WorkerThread):
    """Does not keep the process: what it waits for at the end may be a broker that never answers."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class Thread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread and event loop."""

    Worker = DaemonThread
    app: App
    member: Member | None = None

    def _create_worker_consumer(self, transport: Any) -> BatchConsumer:  # noqa: ARG002 - Faust's signature
        group = self.app.group
        return BatchConsumer(
            bootstrap_servers=group.brokers,
            client_id=group.member,
            group_id=group.name,
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=int(group.session_timeout * 1000),
            heartbeat_interval_ms=int(group.heartbeat * 1000),
            rebalance_timeout_ms=int(group.max_poll_interval * 1000),
            max_poll_interval_ms=int(group.max_poll_interval * 1000),
            max_partition_fetch_bytes=group.fetch_bytes,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_MS,
            owned=group.owned,
        )

    async def on_partitions_assigned(self, assigned: set[TP], generation: int = 0) -> None:
        """Called in this thread, before anything else can happen to the membership."""
        coordinator = self._ensure_consumer()._coordinator
        self.member = Member(self.app.group.name, coordinator.generation, coordinator.member_id)
        await super().on_partitions_assigned(assigned, generation)

    async def fetch(self, wanted: Collection[TopicPartition]) -> Fetched:
        return await self._run(fetch(self._ensure_consumer(), wanted, POLL_SECONDS, BATCH_RECORDS))

    async def check_group(self) -> None:
        if self._consumer is not None and self.thread_loop.is_running():
            await self._run(self._check_group())

    async def _check_group(self) -> None:
        # None until the consumer has started.
        if (coordinator := self._ensure_consumer()._coordinator) is not None:
            coordinator.check_errors()

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._run(self._offsets(tps))

    async def members(self) -> set[str]:
        return await self._run(self._members())

    async def _members(self) -> set[str]:
        coordinator = self._ensure_consumer()._coordinator
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(DescribeGroupsRequest([coordinator.group_id]))
        (described,) = answer.groups
        if (error := for_code(described[0])) is not NoError:
            raise error(coordinator.group_id)
        return {client_id for _, client_id, *_ in described[5]}

    async def describe(self, topics: Collection[str]) -> Mapping[str, Described]:
        return await self._run(describe(self._ensure_consumer()._client, topics))

    async def _offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        consumer = self._ensure_consumer()
        cluster = consumer._client.cluster
        everywhere = {
            TopicPartition(topic, partition)
            for topic in {tp.topic for tp in tps}
            for partition in cluster.partitions_for_topic(topic) or ()
        }
        # Ends come after offsets: another worker may commit what it reads in between.
        stable = await stable_offsets(consumer, everywhere.union(tps))
        begins, ends = await asyncio.gather(consumer.beginning_offsets(list(tps)), consumer.end_offsets(list(tps)))
        committed = {tp: Committed.read(found) for tp, found in stable.committed.items()}
        return Offsets(committed, begins, ends, frozenset(stable.pending).intersection(tps))

    async def seek_all(self, positions: Mapping[TopicPartition, int]) -> None:
        await self._run(self._seek_all(positions))

    async def _seek_all(self, positions: Mapping[TopicPartition, int]) -> None:
        consumer = self._ensure_consumer()
        mine = consumer.assignment()
        for tp, position in positions.items():
            if tp in mine:
                consumer.seek(tp, position)

    async def commit_offsets(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        positions = {TopicPartition(*tp): committed.written() for tp, committed in offsets.items()}
        await self._run(self._ensure_consumer().commit(positions))

    async def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run in the consumer's loop, without the queue that Faust puts before it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self.thread_loop))

    def verify_event_path(self, now: float, tp: TopicPartition) -> None:
        """Faust's slow-stream warnings count records that we never report to it."""


class Offsets(NamedTuple):
    """Log starts and ends by partition; committed offsets, where there are any, of all partitions of these topics.

    A transaction that has not ended may be about to change those that are `pending`.
    """

    committed: Mapping[TopicPartition, Committed]
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    pending: Collection[TopicPartition] = ()

    def by(self, tps: Collection[TopicPartition]) -> set[str]:
        """The transactional ids that committed these partitions last."""
        return {self.committed[tp].by for tp in tps if tp in self.committed} - {""}


class Consumer(driver.Consumer):
    """Hands on one message for each fetched batch."""

    app: App
    _thread: Thread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._numbers = count(1)

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group: aiokafka tells it when it is asked, and waits until then."""
        try:
            await self._thread.check_group()
        except InvalidSessionTimeoutError as error:
            raise SessionRefusedError(self.app.group.session_timeout) from error

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._thread.offsets(tps)

    async def members(self) -> set[str]:
        """Who is in the group now, by `Group.member`."""
        return await self._thread.members()

    async def describe(self, topics: Collection[str]) -> Mapping[str, Described]:
        return await self._thread.describe(topics)

    def member(self) -> Member:
        """This worker in its group, as it was at the last assignment; raises CommitFailedError before the first."""
        if self._thread.member is None:
            raise CommitFailedError
        return self._thread.member

    async def commit_offsets(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit; raises CommitFailedError or IllegalStateError when the group has moved on."""
        await self._thread.commit_offsets(offsets)

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109 - Faust's signature; see POLL_SECONDS
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
        intake = self.app.intake
        epoch = intake.epoch
        fetched = await self._thread.fetch(frozenset(intake.wanted()))
        if self.should_stop or epoch != intake.epoch:
            return
        if fetched.out_of_range:
            intake.out_of_range(fetched.out_of_range)
        for batch in fetched.batches:
            yield batch.tp, self._message(batch, epoch)
        if epoch == intake.epoch:
            intake.seen(fetched.seen)

    def _message(self, batch: Batch, epoch: int) -> ConsumerMessage:
        """A message for Faust, which drops whatever has a lower number than the one before it.

        Not the position: a rewind may come while Faust hands a batch on and is about to note its number, and
        what is read again from before it would be dropped.
        """
        tp, value = batch.tp, cast("Any", (batch, epoch))
        return ConsumerMessage(
            tp.topic, tp.partition, next(self._numbers), 0.0, 0, [], b"", value, None, 0, 0, TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def perform_seek(self) -> None:
        """Called by Faust when flow is to resume after an assignment."""
        assigned = [TopicPartition(*tp) for tp in self._thread.assignment()]
        positions = await self.app.intake.start(assigned)
        await self._thread.seek_all(positions)

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Nothing: offsets are committed by the worker, after its outputs."""
        return True

    async def wait_empty(self) -> None:
        """Nothing to wait for: `Intake.revoked` finishes what is under way."""

    async def _add_gap(self, *_: Any) -> None:
        """Nothing: offsets between batches are no gaps."""

    def ack(self, message: Message) -> bool:  # noqa: ARG002
        """Nothing to remember: see `commit`."""
        return True


class Transport(driver.Transport):
    """Makes our consumer."""

    Consumer = Consumer


class BatchTopic(faust.Topic):
    """A topic whose events carry `(Batch, epoch)` as their value."""

    def _compile_decode(self) -> None:
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return self._create_event(None, message.value, {}, message)

        self.decode = decode  # type: ignore[method-assign]  # as Faust's own does


class Boot(BootStrategy):
    """Starts consumer, agents and conductor; the worker has a producer and a web server of its own."""

    def kafka_producer(self) -> Iterable[ServiceT]:
        return []

    def kafka_consumer(self) -> Iterable[ServiceT]:
        return [self.app.consumer]

    def web_server(self) -> Iterable[ServiceT]:
        return []

    def sensors(self) -> Iterable[ServiceT]:
        return []


class App(faust.App):
    """A Faust application for one service: `topics` are read in batches and handed to `intake`."""

    BootStrategy = Boot

    def __init__(
        self,
        group: Group,
        intake: Intake,
        topics: Collection[str],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            group.name,
            broker=[f"kafka://{broker}" for broker in group.brokers.split(",")],
            Topic=BatchTopic,
            web_enabled=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_recovery_delay=0,
            broker_session_timeout=group.session_timeout,
            broker_request_timeout=max(40.0, group.session_timeout),
            broker_commit_livelock_soft_timeout=1e9,
            topic_allow_declare=False,
            autodiscover=False,
            reply_create_topic=False,
        )
        self.group = group
        self.intake = intake
        self.failed = on_failure
        for topic in topics:
            self.agent(self.topic(topic), name=topic)(self._hand_over)

    async def _hand_over(self, stream: Any) -> None:
        """The agent of every topic: puts batches in, in order. Faust itself would only log that it died."""
        try:
            async for batch, epoch in stream:
                await self.intake.put(batch, epoch)
        except Exception as error:
            self.failed(error)
            raise

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self, loop=self.loop)

    def _create_directories(self) -> None:
        """None: Faust has no tables here, and would leave empty folders wherever a worker is started."""

    async def _on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if not self.should_stop:
            await self.intake.revoked()
        await super()._on_partitions_revoked(revoked)

    def _crash(self, reason: BaseException) -> None:
        """A part of Faust died (each of its parents is told): that must not leave a worker that only looks alive."""
        super()._crash(reason)
        self.failed(reason)


def quiet() -> None:
    """Keep Faust's and aiokafka's chatter out of the log: the worker has its own lines.

    aiokafka says as errors what it tries again by itself: eighty lines a second while a broker is away. What it
    cannot mend it raises; what ends a part of Faust ends the worker, which tells it once.
    """
    for name in ("faust", "mode", "aiokafka", __name__):
        logging.getLogger(name).setLevel(logging.CRITICAL)
