"""This worker as a member of its group: how it reacts to assignments, revocations and failures.

It is the `Intake` of Faust's consumer, from which it takes batches. It returns to the committed offsets when outputs
are not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.assembly.plan import ServicePlan
from larder.delivery.delivery import Delivery, NotAssignedError
from larder.delivery.guarantees import new_guarantee
from larder.delivery.refused_records import REFUSED, Refusals
from larder.delivery.renewal import Renewal
from larder.group.consumer_thread import Group
from larder.group.faust_app import App
from larder.group.faust_consumer import Consumer
from larder.group.peers import Peer
from larder.kafka.batch_consumer import Batch, ObservedEnd
from larder.kafka.retrying import RETRY_SECONDS, answered, is_passing
from larder.kafka.transactions import GroupFencedError
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.processing.loop import Processing
from larder.worker.assignments import Assignments
from larder.worker.builds import retention
from larder.worker.driving import Driving
from larder.worker.generations import note_mirrored
from larder.worker.growth_log import GrowthLog
from larder.worker.hops import Hops
from larder.worker.input_offsets import InputOffsets
from larder.worker.new_partitions import NewPartitions
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics
from larder.worker.stopping import in_time

log = logging.getLogger("larder")

PLACEMENT_SECONDS = 2.0
"""The interval at which it checks the partition counts of topics."""


class Membership:
    """Owns the lanes of the current assignment, and the Faust application that is in the group.

    `joined` is true once the group has made an assignment, even an empty one.
    """

    def __init__(
        self,
        runtime: Runtime,
        plan: ServicePlan,
        topics: ServiceTopics,
        standbys: Standbys,
        replan: Callable[[], Awaitable[ServicePlan]],
        web: str,
        growth: GrowthLog | None = None,
        step: int = 0,
    ) -> None:
        """`replan` plans again from the current topics; `web` is the address of this worker's web port.

        `growth` follows the growth of the service; None if it cannot grow. `step` is the one that the plan is for.
        """
        options, traffic = runtime.options, runtime.traffic
        self._app = App(_group(runtime, plan, web, step), self, plan.group_topics)
        self._consumer = consumer = cast("Consumer", self._app.consumer)
        self._renewal = Renewal(
            partial(
                new_guarantee, options.guarantee, options.connection, runtime.transactional_id,
                consumer.commit_offsets, consumer.member,
            )
        )  # fmt: skip
        self.topics = topics
        self.inputs = InputOffsets(runtime, topics, NewPartitions(consumer))
        self._delivery = Delivery(self.inputs.commit, runtime.reached, Refusals(runtime.clock), traffic)
        self.processing = Processing(self._delivery, runtime.clock, options.commit_interval, traffic)
        self.driving = Driving(runtime, plan, topics, consumer, growth, step)
        self.assignments = Assignments(
            runtime, plan, topics, self.inputs, self.processing, standbys, consumer, self.driving
        )
        self._tables = runtime.tables
        self._traffic = traffic
        self._requests = runtime.requests
        self.growth = growth
        self._standbys = standbys
        self._replan = replan
        self._changing = asyncio.Lock()
        self._rewind_needed = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.joined = False

    @property
    def plan(self) -> ServicePlan:
        """The plan for the topics as they were when they were last read."""
        return self.assignments.plan

    def passed_through(self) -> Mapping[TopicPartition, int]:
        """Return the committed offsets of this worker's partitions of topics that no other service reads."""
        return self.inputs.of(self.processing.assigned, self.plan.passed_through)

    def hops(self, runtime: Runtime, tables: Mapping[str, LocalTable]) -> Hops:
        """Return what measures mirrored tables, given by the topic of their source."""
        kept = {source: retention(self.topics.facts[source]) for source in tables}
        note = partial(note_mirrored, runtime.options.connection, runtime.service.name)
        return Hops(self._consumer, self.topics, tables, kept, note, runtime.service.name, runtime.clock)

    async def peers(self) -> list[Peer] | None:
        """Return the members of the group and their partitions; None while this is unknown."""
        return await self._consumer.peers()

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Start the producer before the worker joins the group, and stop it at the end."""
        self.assignments.note_stored()
        async with self._renewal:
            await self._renew_delivery()
            yield

    async def join(self) -> None:
        """Join the group."""
        await self._app.start()

    def stay(self) -> None:
        """Stay in the group when this membership ends: another one of this worker follows at once."""
        self._consumer.stay()

    async def leave(self) -> None:
        """Settle what is done, and leave the group."""
        try:
            await in_time(self.revoked(), "finished work could not be settled")
        finally:
            await in_time(self._app.stop(), "the worker could not leave the group")

    async def run(self) -> None:
        """Process until cancelled; raise any error that ends the worker."""
        while True:
            running = asyncio.create_task(self.processing.run(), name="processing")
            rewind = asyncio.create_task(self._rewind_needed.wait())
            try:
                await asyncio.wait({running, rewind}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
            except NotAssignedError as error:
                log.warning("%s: reading again from the committed offsets", error)
            except KafkaError as error:
                log.warning("outputs were not acknowledged (%r): reading again from the committed offsets", error)
                self.inputs.failed(error)
                if isinstance(error, REFUSED):
                    await self._plan_again()
                elif isinstance(error, GroupFencedError):
                    await asyncio.sleep(RETRY_SECONDS)
            finally:
                running.cancel()
                rewind.cancel()
                await asyncio.gather(running, rewind, return_exceptions=True)
            await self._rewind()

    async def watch_group(self) -> None:
        """Raise the error that ends this worker's membership, even before it joins; retry after temporary ones."""
        while not self._failure.done():
            try:
                await self._consumer.check_group()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise
            await asyncio.wait({self._failure}, timeout=RETRY_SECONDS)
        self._failure.result()

    async def watch_placement(self) -> None:
        """Rewind when a topic's partition count changes: the group may notice it only minutes later."""
        while True:
            await asyncio.sleep(PLACEMENT_SECONDS)
            try:
                if self.joined and self.topics.placement.is_news(await self._consumer.describe(self.plan.group_topics)):
                    self._rewind_needed.set()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise

    async def follow_growth(self, growth: GrowthLog) -> None:
        """Return once the workers need another plan; start again from the committed offsets when copying begins."""
        while (state := growth.known.state).step == self.driving.step:
            if self.driving.phase not in {None, state.phase}:
                self._rewind_needed.set()
            await growth.news()

    async def _plan_again(self) -> None:
        """Plan again: the limits of a topic may have been changed. Wait first, to allow for such a change."""
        await asyncio.sleep(RETRY_SECONDS)
        self.assignments.plan = await self._replan()

    async def _rewind(self) -> None:
        """Start again from the offsets that the broker has: nothing is rewound from memory."""
        self._traffic.rewinds += 1
        self._rewind_needed.clear()
        async with self._changing:
            self.assignments.stop_releasing()
            await self.processing.abandon()
            await self._renew_delivery()
        await self._delivery.guarantee.until_member(self._consumer.members)
        await self._consumer.rewind()

    async def _finish(self) -> None:
        """Settle what is done in this assignment. If that fails, it is processed again from the committed offsets."""
        self.assignments.stop_releasing()
        try:
            await self.processing.finish()
        except (KafkaError, OSError) as error:
            log.warning("outputs were not settled before the partitions were revoked (%r): they are retried", error)
            await self.processing.abandon()
            await self._renew_delivery()
        self._delivery.assign(())

    async def _renew_delivery(self) -> None:
        """Continue with a new producer; wait if the broker is unreachable."""
        self._delivery.renew(await answered(self._renewal.renew))
        self._requests.lose()

    # The methods that Faust's consumer calls: see `Intake`.

    @property
    def stored(self) -> Mapping[TopicPartition, int]:
        return self.assignments.stored

    @property
    def epoch(self) -> int:
        return self.processing.epoch

    def wanted(self) -> Collection[TopicPartition]:
        return self.processing.wanted()

    async def put(self, batch: Batch, epoch: int) -> None:
        self.processing.put(batch, epoch)

    def observe_ends(self, ends: Mapping[TopicPartition, ObservedEnd]) -> None:
        for tp, observed in ends.items():
            self.inputs.observe_end(tp, observed)
            if (table := self._tables.get(tp.topic)) is not None and table.observe_end(tp.partition, observed):
                self._rewind_needed.set()
        self.processing.wake()

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """Rewind: the log no longer has the next record. A new position is chosen, or the worker ends."""
        for tp, position in positions.items():
            log.warning("topic %s partition %d no longer has offset %d", tp.topic, tp.partition, position)
        self._rewind_needed.set()

    async def revoked(self) -> None:
        async with self._changing:
            self.assignments.note_stored()
            await self._finish()

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Build lanes and return the starting offsets of an assignment; wait if the broker is unreachable."""
        async with self._changing:
            # A rewind and an assignment may come together: each begins after the other has ended.
            await self._finish()
            self._standbys.follow(frozenset(standbys).difference(assigned))
            starts = await answered(partial(self.assignments.make, assigned))
        self.joined = True
        self._traffic.assignments += 1
        return starts

    def fail(self, reason: BaseException) -> None:
        self._failure.get_loop().call_soon_threadsafe(self._fail, reason)

    def _fail(self, reason: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(reason)


def _group(runtime: Runtime, plan: ServicePlan, web: str, step: int) -> Group:
    options, generation = runtime.options, plan.service.generation
    return Group(
        name=runtime.service.name,
        member=runtime.transactional_id,
        connection=options.connection,
        session_timeout=options.session_timeout,
        heartbeat=options.heartbeat,
        max_poll_interval=options.poll_interval,
        fetch_bytes=options.fetch_bytes,
        owned=plan.owned,
        standby=options.standby,
        stays=options.on_stop == "stay",
        web=web,
        step=step,
        grown=plan.growth is not None or (generation is not None and generation.number > 1),
    )
