"""The thread of a worker's consumer, which has its own event loop, and the calls into it.

It subclasses Faust's consumer thread (0.15.3, with mode 0.7.1), which would create a consumer with its own settings. It
also uses aiokafka's coordinator behind that consumer. `tests/larder/group/test_faust_app.py` fails when either changes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP
from mode.threads import ServiceThread, WorkerThread

from larder.config.connection import Connection
from larder.group.assignor import GROWN_PROTOCOL, PROTOCOL, Assignor
from larder.kafka.batch_consumer import BATCH_RECORDS, FETCH_WAIT_MS, POLL_SECONDS, Fetched, fetch
from larder.kafka.clients import new_member
from larder.kafka.retrying import answered, within
from larder.kafka.static_membership import StaticConsumer
from larder.kafka.transactions import Member

T = TypeVar("T")

METADATA_MS = 5_000
"""How often topics are checked for new partitions, and for having been recreated."""

ASKED_SECONDS = 30.0
"""How long the broker may take to report offsets, members or topics before the request is retried."""


class Group(NamedTuple):
    """The settings of this worker's membership in its consumer group; times are in seconds."""

    name: str
    member: str
    """The worker's transactional id, by which others know whether it is still alive; also its instance id."""
    connection: Connection
    session_timeout: float
    heartbeat: float
    max_poll_interval: float
    fetch_bytes: int
    owned: frozenset[str] = frozenset()
    """Topics that only this service writes: their end is that of all records, committed or not."""
    standby: int = 0
    """How many other members follow the tables of a partition."""
    stays: bool = False
    """Whether it stays in the group when it stops: its partitions then wait for it until its session expires."""
    web: str = ""
    """The address of this worker's web port for other members."""
    step: int = 0
    """The step of the service's growth by whose plan this worker works."""
    grown: bool = False
    """Whether older workers, which know no generations, are kept out."""


class GroupConsumer(StaticConsumer):
    """Waits for a broker that disappears just as the worker joins the group: Faust would end the worker."""

    async def start(self) -> None:
        await answered(super().start)


Question = Callable[[GroupConsumer], Coroutine[Any, Any, T]]
"""A coroutine function that runs in the loop of a consumer."""


class DaemonThread(WorkerThread):
    """Does not keep the process alive: at the end it may wait for a broker that never answers."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


@contextmanager
def _unless_closed(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Ignore an error caused by a closed loop: the worker has ended, so nothing is left to handle it."""
    try:
        yield
    except RuntimeError:
        if not loop.is_closed():
            raise


class Thread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread and event loop.

    If the consumer takes longer to stop than the worker waits, it ends after the worker's loop was closed.
    """

    Worker = DaemonThread

    def __init__(self, consumer: Any, group: Group, assignor: Assignor, **options: Any) -> None:
        self.member: Member | None = None
        self._group = group
        self._our_assignor = assignor
        self._asking = threading.Lock()
        self._ended = False
        super().__init__(consumer, **options)

    def _start_thread(self) -> None:
        self._close_thread_loop_on_stop = False
        try:
            with _unless_closed(self.parent_loop):
                super()._start_thread()
        finally:
            # A call made just as the loop ended has started, and would neither finish nor be cancelled.
            with self._asking:
                self._ended = True
            self.thread_loop.run_until_complete(self._gather_remaining_tasks())
            self.thread_loop.close()

    def set_shutdown(self) -> None:
        with _unless_closed(self.parent_loop):
            super().set_shutdown()

    def _create_worker_consumer(self, transport: Any) -> GroupConsumer:  # noqa: ARG002 - Faust's signature
        group = self._group
        return new_member(
            group.connection,
            GroupConsumer,
            client_id=group.member,
            group_instance_id=group.member,
            stays=group.stays,
            group_id=group.name,
            partition_assignment_strategy=[self._our_assignor],
            protocols=(GROWN_PROTOCOL,) if group.grown else (PROTOCOL, GROWN_PROTOCOL),
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
        """Note the membership. Called in this thread, before anything else can happen to it."""
        coordinator = self._ensure_consumer()._coordinator
        self.member = Member(self._group.name, coordinator.generation, coordinator.member_id, self._group.member)
        if self._our_assignor.is_outdated:
            coordinator.request_rejoin()
        await super().on_partitions_assigned(assigned, generation)

    @property
    def can_be_asked(self) -> bool:
        """Whether the consumer has started and its loop is running."""
        started = self._consumer is not None and self._consumer._coordinator is not None
        return started and self.thread_loop.is_running()

    async def ask(self, question: Question[T]) -> T:
        """Run a request within a time limit: aiokafka may search for a coordinator forever."""
        async with within(ASKED_SECONDS, "the broker's answer"):
            return await self._run(question)

    def stay(self) -> None:
        """Stay in the group when the consumer stops: this worker joins it again at once, with another plan."""
        if self._consumer is not None:
            self._consumer.stay()

    async def fetch(self, wanted: Collection[TopicPartition]) -> Fetched:
        return await self._run(partial(fetch, wanted=wanted, patience=POLL_SECONDS, limit=BATCH_RECORDS))

    async def check_group(self) -> None:
        """Raise the error that keeps this worker out of its group, if the consumer has noticed it."""
        if self.can_be_asked:
            await self._run(_check_group)

    async def seek_all(self, positions: Mapping[TopicPartition, int]) -> None:
        """Seek the positions of those partitions that are still assigned."""
        await self._run(partial(_seek_all, positions=positions))

    async def _run(self, call: Question[T]) -> T:
        """Run a call in the consumer's loop, bypassing Faust's queue; cancel it if the loop has ended."""
        with self._asking:
            if self._ended:
                raise asyncio.CancelledError
            running = asyncio.run_coroutine_threadsafe(call(self._ensure_consumer()), self.thread_loop)
        return await asyncio.wrap_future(running)

    def verify_event_path(self, now: float, tp: TopicPartition) -> None:
        """Do nothing: Faust's warnings about slow streams count records that we never report to it."""


async def _check_group(consumer: GroupConsumer) -> None:
    consumer.check_group()


async def _seek_all(consumer: GroupConsumer, positions: Mapping[TopicPartition, int]) -> None:
    mine = consumer.assignment()
    for tp, position in positions.items():
        if tp in mine:
            consumer.seek(tp, position)
