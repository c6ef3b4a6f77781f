"""Faust as the harness: its worker, agents, consumer group and assignment, delivering whole batches.

The one module that subclasses or overrides parts of Faust (0.15.3). What is changed, and why:

* the consumer hands on one message for each fetched batch, not for each record (a hundred times
  fewer queue steps), reads committed records only and never resets an offset by itself;
* our own assignor is always used (`assigning.py`): stock Faust falls back to round-robin for an
  application without Faust tables, which is not co-partitioned (`faust/transport/drivers/aiokafka.py`);
* offsets are committed by our own hand only, with the outputs or after them: Faust's commit
  handler, `wait_empty` and stop would commit what was merely handed to an agent;
* at an assignment every partition is sought explicitly, to where `Intake.start` says, however long that takes, and
  nothing is taken before Faust lets flow resume: it would be dropped with the queues that Faust empties then;
* the group is joined at once: Faust first waits a second for an application to declare its Faust tables.

Knows partitions and batches, neither tables nor joins. `tests/larder/group/test_faust_app.py` fails
when Faust changes under it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, cast

import faust
from aiokafka.errors import CommitFailedError, InconsistentGroupProtocolError, InvalidSessionTimeoutError, KafkaError
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage, Message

from larder.declaring.problems import LarderError, Problem
from larder.group.assignor import Assignor
from larder.group.consumer_thread import Group, Thread
from larder.group.peers import Peer
from larder.group.start_offsets import Offsets
from larder.kafka.batch_consumer import Batch, SeenEnd
from larder.kafka.committed import Committed
from larder.kafka.foreign_members import ForeignMembersError
from larder.kafka.topic_metadata import Described
from larder.kafka.transactions import Member

if TYPE_CHECKING:
    from mode.types import ServiceT


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


class Intake(Protocol):
    """Where batches go, and who decides where partitions start."""

    def wanted(self) -> Collection[TopicPartition]:
        """Partitions whose records can be taken now."""

    def seen(self, ends: Mapping[TopicPartition, SeenEnd]) -> None:
        """Ends of partitions as the broker last told them."""

    async def put(self, batch: Batch, epoch: int) -> None:
        """Take a batch that was fetched in `epoch`."""

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has (or does not yet have) these positions."""

    @property
    def stored(self) -> Mapping[TopicPartition, int]:
        """Positions of stores, for the assignment; asked for in another thread."""

    @property
    def epoch(self) -> int:
        """Rises at each revoke, assignment and rewind."""

    async def revoked(self) -> None:
        """All partitions are about to be taken away; what is done may still be committed."""

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Make ready for the assigned partitions; answer the offset at which each is to be read.

        `standbys` are partitions that another member processes, and this one next.
        """


class Consumer(driver.Consumer):
    """Hands on one message for each fetched batch."""

    app: App
    _thread: Thread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._numbers = count(1)
        self._seeking = asyncio.Lock()
        self._resumes = False

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group: aiokafka tells it when it is asked, and waits until then."""
        try:
            await self._thread.check_group()
        except InvalidSessionTimeoutError as error:
            raise SessionRefusedError(self.app.group.session_timeout) from error
        except InconsistentGroupProtocolError as error:
            raise ForeignMembersError(self.app.group.name, await self._thread.strangers()) from error
        except KafkaError as error:
            # What the broker answers where members of the newer protocol are differs; aiokafka wraps what it is.
            if type(error) is KafkaError and (found := await self._thread.newer_members()):
                raise ForeignMembersError(self.app.group.name, found) from error
            raise

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._thread.offsets(tps)

    async def members(self) -> set[str]:
        """Who is in the group now, by `Group.member`."""
        return await self._thread.members()

    async def peers(self) -> list[Peer] | None:
        """Who is in the group and has what; None while that is being decided, or while nobody can be asked."""
        return await self._thread.peers()

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
        """Called by Faust after an assignment, before it lets flow resume; nothing is taken until then.

        Faust empties the queues of its agents when it lets flow resume, and does not always stop it before: where
        nothing was assigned, or where one rebalance overtakes another. What was taken in between would be lost
        (faust-streaming/faust issue 596 has it of recovery).
        """
        # A rewind and an assignment may come together: positions of one must not be sought after those of the other.
        async with self._seeking:
            await self._go_to_starts()

    async def rewind(self) -> None:
        """Go back to what is committed, in the midst of an assignment."""
        async with self._seeking:
            self._resumes = self.flow_active
            await self._go_to_starts()
        if self._resumes:
            self.resume_flow()

    def resume_flow(self) -> None:
        """Called by Faust after an assignment; while positions are sought, what comes after that is asked for."""
        if self._seeking.locked():
            self._resumes = True
        else:
            super().resume_flow()

    async def _go_to_starts(self) -> None:
        self.stop_flow()
        assigned = [TopicPartition(*tp) for tp in self._thread.assignment()]
        positions = await self.app.intake.start(assigned, self.app.assignor.standbys)
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


class NoTables(TableManager):
    """Faust's own tables, of which there are none: nothing is waited for before the group is joined."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """A Faust application for one service: `topics` are read in batches and handed to `intake`."""

    BootStrategy = Boot
    assignor: Assignor

    def __init__(
        self,
        group: Group,
        intake: Intake,
        topics: Collection[str],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            group.name,
            broker=[f"kafka://{broker}" for broker in group.connection.addresses],
            Topic=BatchTopic,
            TableManager=NoTables,
            web_enabled=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_recovery_delay=0,
            broker_session_timeout=group.session_timeout,
            # For so long Faust waits for `perform_seek`; then it would let flow resume all the same.
            broker_request_timeout=1e9,
            broker_commit_livelock_soft_timeout=1e9,
            topic_allow_declare=False,
            autodiscover=False,
            reply_create_topic=False,
        )
        self.group = group
        self.intake = intake
        self.failed = on_failure
        self.assignor = Assignor(self, lambda: intake.stored, standby=group.standby > 0, web=group.web)
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
