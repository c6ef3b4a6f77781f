"""The thread in which a worker's consumer lives, with an event loop of its own, and what is asked of it from outside.

Subclasses Faust's consumer thread (0.15.3, with mode 0.7.1), which would make a consumer of its own settings, and
touches aiokafka's coordinator and client behind that consumer. `tests/larder/group/test_faust_app.py` fails when either
changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP
from mode.threads import ServiceThread, WorkerThread

from larder.config.connection import Connection
from larder.group.peers import STABLE, GroupMember, Peer, read_peers
from larder.group.start_offsets import Offsets
from larder.kafka.batch_consumer import BATCH_RECORDS, FETCH_WAIT_MS, POLL_SECONDS, Fetched, fetch
from larder.kafka.clients import new_member
from larder.kafka.committed import Committed
from larder.kafka.newer_members import newer_members
from larder.kafka.retrying import answered, within
from larder.kafka.stable_offsets import stable_offsets
from larder.kafka.static_membership import StaticConsumer
from larder.kafka.topic_metadata import Described, describe
from larder.kafka.transactions import Member

if TYPE_CHECKING:
    from larder.group.faust_app import App

T = TypeVar("T")

METADATA_MS = 5_000
"""How often topics are looked at for new partitions, and for having been deleted and made anew."""


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
    app: App
    member: Member | None = None

    def _start_thread(self) -> None:
        self._close_thread_loop_on_stop = False
        try:
            with _unless_closed(self.parent_loop):
                super()._start_thread()
        finally:
            # What was asked just as the loop ended has begun, and would neither end nor be cancelled.
            self.thread_loop.run_until_complete(self._gather_remaining_tasks())
            self.thread_loop.close()

    def set_shutdown(self) -> None:
        with _unless_closed(self.parent_loop):
            super().set_shutdown()

    def _create_worker_consumer(self, transport: Any) -> GroupConsumer:  # noqa: ARG002 - Faust's signature
        group = self.app.group
        return new_member(
            group.connection,
            GroupConsumer,
            client_id=group.member,
            group_instance_id=group.member,
            stays=group.stays,
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
        self.member = Member(self.app.group.name, coordinator.generation, coordinator.member_id, self.app.group.member)
        if self.app.assignor.is_outdated:
            coordinator.request_rejoin()
        await super().on_partitions_assigned(assigned, generation)

    async def fetch(self, wanted: Collection[TopicPartition]) -> Fetched:
        return await self._run(fetch(self._ensure_consumer(), wanted, POLL_SECONDS, BATCH_RECORDS))

    async def check_group(self) -> None:
        if self._consumer is not None and self.thread_loop.is_running():
            await self._run(self._check_group())

    async def _check_group(self) -> None:
        self._ensure_consumer().check_group()

    async def offsets(self, tps: Collection[TopicPartition]) -> Offsets:
        return await self._asked(self._offsets(tps))

    async def members(self) -> set[str]:
        return await self._asked(self._members())

    async def _members(self) -> set[str]:
        return {client_id for _, client_id, *_ in (await self._described())[5]}

    async def strangers(self) -> list[str]:
        """Who is in the group, by client id with host; for a worker that the group does not let in."""
        return await self._asked(self._strangers())

    async def _strangers(self) -> list[str]:
        older = sorted(f"{client_id} at {host}" for _, client_id, host, *_ in (await self._described())[5])
        return older + await self._newer_members()

    async def newer_members(self) -> list[str]:
        """Who is in the group by the newer protocol, and keeps this worker out of it."""
        return await self._asked(self._newer_members())

    async def _newer_members(self) -> list[str]:
        coordinator = self._ensure_consumer()._coordinator
        await coordinator.ensure_coordinator_known()
        return await newer_members(coordinator._send_req, coordinator.group_id)

    async def peers(self) -> list[Peer] | None:
        if self._consumer is None or not self.thread_loop.is_running():
            return None
        return await self._asked(self._peers())

    async def _peers(self) -> list[Peer] | None:
        described = await self._described()
        if described[2] != STABLE:
            return None
        listed = (GroupMember(client_id, metadata, given) for _, client_id, _, metadata, given, *_ in described[5])
        return read_peers(self.app.group.name, listed)

    async def _described(self) -> Any:
        """Give error, name, state, kind, protocol and members of the group, as the broker has them."""
        coordinator = self._ensure_consumer()._coordinator
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(DescribeGroupsRequest([coordinator.group_id]))
        (described,) = answer.groups
        if (error := for_code(described[0])) is not NoError:
            raise error(coordinator.group_id)
        return described

    async def describe(self, topics: Collection[str]) -> Mapping[str, Described]:
        return await self._asked(describe(self._ensure_consumer()._client, topics))

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
        await self._asked(self._ensure_consumer().commit(positions))

    async def _asked(self, call: Coroutine[Any, Any, T]) -> T:
        """Run what the broker has to answer; aiokafka may look for a coordinator without end."""
        async with within(ASKED_SECONDS, "the broker's answer"):
            return await self._run(call)

    async def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run in the consumer's loop, without the queue that Faust puts before it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self.thread_loop))

    def verify_event_path(self, now: float, tp: TopicPartition) -> None:
        """Faust's slow-stream warnings count records that we never report to it."""
