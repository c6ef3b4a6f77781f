"""The thread in which a worker's consumer lives, with an event loop of its own, and calls into it from outside.

Subclasses Faust's consumer thread (0.15.3, with mode 0.7.1), which would make a consumer of its own settings, and
touches aiokafka's coordinator behind that consumer. `tests/larder/group/test_faust_app.py` fails when either
changes.
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
from larder.group.assignor import Assignor
from larder.kafka.batch_consumer import BATCH_RECORDS, FETCH_WAIT_MS, POLL_SECONDS, Fetched, fetch
from larder.kafka.clients import new_member
from larder.kafka.retrying import answered, within
from larder.kafka.static_membership import StaticConsumer
from larder.kafka.transactions import Member

T = TypeVar("T")

METADATA_MS = 5_000
"""How often topics are looked at for new partitions, and for having been deleted and created again."""

ASKED_SECONDS = 30.0
"""How long the broker may take to say offsets, members or topics: then it is asked again."""


class Group(NamedTuple):
    """How this worker is a member of its consumer group; times are in seconds."""

    name: str
    member: str
    """The worker's transactional id, by which others know whether it is still there; its instance id as well."""
    connection: Connection
    session_timeout: float
    heartbeat: float
    max_poll_interval: float
    fetch_bytes: int
    owned: frozenset[str] = frozenset()
    """Topics that this service alone writes: they end where the last of their records lies, committed or not."""
    standby: int = 0
    """How many members beside the one that processes a partition follow its tables."""
    stays: bool = False
    """When it stops, it does not leave: its partitions wait for it until the session is over."""
    web: str = ""
    """Where the other members reach this worker's web port."""


class GroupConsumer(StaticConsumer):
    """A broker that goes away just when the group is to be joined is waited for: Faust would end the worker."""

    async def start(self) -> None:
        await answered(super().start)


Question = Callable[[GroupConsumer], Coroutine[Any, Any, T]]
"""What runs in the loop of a consumer."""


class DaemonThread(WorkerThread):
    """Does not keep the process: what it waits for at the end may be a broker that never answers."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


@contextmanager
def _unless_closed(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Pass over what fails since that loop is closed: the worker has ended, and nobody is there to hear it."""
    try:
        yield
    except RuntimeError:
        if not loop.is_closed():
            raise


class Thread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread and event loop.

    A consumer that needs longer to stop than the worker waits for it ends after the worker's loop was closed.
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
            # A question that came just as the loop ended has begun, and would neither end nor be cancelled.
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
        self.member = Member(self._group.name, coordinator.generation, coordinator.member_id, self._group.member)
        if self._our_assignor.is_outdated:
            coordinator.request_rejoin()
        await super().on_partitions_assigned(assigned, generation)

    @property
    def can_be_asked(self) -> bool:
        """The consumer was made, and its loop has not ended."""
        return self._consumer is not None and self.thread_loop.is_running()

    async def ask(self, question: Question[T]) -> T:
        """Ask what the broker has to answer; aiokafka may look for a coordinator without end."""
        async with within(ASKED_SECONDS, "the broker's answer"):
            return await self._run(question)

    async def fetch(self, wanted: Collection[TopicPartition]) -> Fetched:
        return await self._run(partial(fetch, wanted=wanted, patience=POLL_SECONDS, limit=BATCH_RECORDS))

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group, if the consumer has noticed it."""
        if self.can_be_asked:
            await self._run(_check_group)

    async def seek_all(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go to the positions of those partitions that are assigned still."""
        await self._run(partial(_seek_all, positions=positions))

    async def _run(self, call: Question[T]) -> T:
        """Run in the consumer's loop, without the queue that Faust puts before it; cancelled once that has ended."""
        with self._asking:
            if self._ended:
                raise asyncio.CancelledError
            running = asyncio.run_coroutine_threadsafe(call(self._ensure_consumer()), self.thread_loop)
        return await asyncio.wrap_future(running)

    def verify_event_path(self, now: float, tp: TopicPartition) -> None:
        """Faust's slow-stream warnings count records that we never report to it."""


async def _check_group(consumer: GroupConsumer) -> None:
    consumer.check_group()


async def _seek_all(consumer: GroupConsumer, positions: Mapping[TopicPartition, int]) -> None:
    mine = consumer.assignment()
    for tp, position in positions.items():
        if tp in mine:
            consumer.seek(tp, position)
