"""Drives a growth from phase to phase: one worker measures, and writes the next record in a unit that is fenced.

The driver is the worker that has the first partition of the first input. A phase ends with a measurement at the broker,
not with reports: a worker that was killed reports nothing. Any worker can go on from the records.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.assembly.plan import GrowthPlan, ServicePlan
from larder.declaring.dead_letters import settling_id
from larder.declaring.facts import growth_name
from larder.declaring.generations import Generation, placed
from larder.declaring.growth import (
    Filled,
    Growth,
    GrowthPhase,
    GrowthState,
    ScaleRequest,
    next_generation,
)
from larder.declaring.problems import LarderError
from larder.declaring.topics import of_generation
from larder.declaring.topology import topics_of
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.group.faust_consumer import Consumer
from larder.kafka.admin import Cluster
from larder.kafka.clients import end_transaction
from larder.kafka.readers import reader, spans
from larder.kafka.retrying import is_passing
from larder.worker.growth_checks import problems
from larder.worker.growth_decisions import (
    EncodedRecord,
    all_copied,
    all_filled,
    all_processed,
    floors,
    moved,
    records_of,
    refused,
    switched,
    work_by,
)
from larder.worker.growth_log import GrowthLog, GrowthRecords, write_record
from larder.worker.prepare import create_topics
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics
from larder.worker.topic_ownership import REQUEST_TIMEOUT_MS

log = logging.getLogger("larder")

DRIVE_SECONDS = 0.25
"""The interval between two measurements."""


class Writer:
    """Writes records in a unit that `fence` fences by the offset of a partition: a chore of one assignment."""

    def __init__(self, fence: Callable[[], None], delivery: Delivery, output: Output) -> None:
        self._fence = fence
        self._delivery = delivery
        self._output = output
        self._pending: Sequence[EncodedRecord] = ()

    def write(self, records: Sequence[EncodedRecord]) -> None:
        """Write records with the next unit."""
        self._pending = records

    def tick(self, now: float) -> bool:
        """Write what is pending."""
        for key, value in self._pending:
            self._fence()
            self._delivery.emit(self._output, 0, key, value, int(now * 1000))
        wrote, self._pending = bool(self._pending), ()
        return wrote


class Driving:
    """What a worker does for the growth of its service, by the plan of one `step`. `log` is None if it cannot grow."""

    def __init__(
        self, runtime: Runtime, plan: ServicePlan, topics: ServiceTopics, consumer: Consumer, log: GrowthLog | None,
        step: int,
    ) -> None:  # fmt: skip
        self.step = step
        self.phase: GrowthPhase | None = None
        """The phase in which the current assignment was made."""
        self._runtime = runtime
        self._plan = plan
        self._topics = topics
        self._consumer = consumer
        self._log = log
        self._writer: Writer | None = None
        self._filled: set[int] = set()
        self._assigned = False

    async def read(self) -> GrowthState:
        """Return where the growth stands now, for a new assignment; raise KafkaError."""
        state = GrowthState() if self._log is None else (await self._log.refresh()).state
        self.phase = state.phase
        return state

    def chore(self, assigned: Collection[TopicPartition], delivery: Delivery) -> Writer | None:
        """Return the driver's chore of a new assignment, if this worker is the driver."""
        output = self._plan.outputs.get(growth_name(self._plan.service.name))
        self._writer, self._assigned = None, True
        if self._log is not None and output is not None and (fence := self._fence(assigned, delivery)) is not None:
            self._writer = Writer(fence, delivery, output)
        return self._writer

    def _fence(self, assigned: Collection[TopicPartition], delivery: Delivery) -> Callable[[], None] | None:
        """Return what fences the driver's units: by its first input, or by a state if it has requests only."""
        plan = self._plan
        tp = TopicPartition(min(plan.inputs or {each.state.topic for each in plan.decides}, default=""), 0)
        if tp not in assigned:
            return None
        if tp.topic in plan.inputs:
            return lambda: delivery.touch(tp)
        state = self._runtime.tables[tp.topic].at(0)
        return lambda: delivery.done(tp, state.position())

    async def drive(self) -> None:
        """Measure and write until cancelled; retry after temporary errors."""
        while self._log is not None:
            await asyncio.sleep(DRIVE_SECONDS)
            if not self._assigned:
                continue
            try:
                await self._report_filled(self._log)
                if self._writer is not None and self._log.known.state.step == self.step:
                    await self._advance(self._log, self._writer)
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise

    async def _advance(self, log_: GrowthLog, writer: Writer) -> None:
        known = log_.known
        following = await self._next(known, self._runtime.clock())
        if following is None or writer is not self._writer:
            return
        self._runtime.reached(f"growth.{following.phase.value}")
        writer.write(records_of(known.state.phase, following))
        # A unit that fails ends the assignment, and its writer with it.
        while log_.known.end == known.end and writer is self._writer:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRIVE_SECONDS):
                    await log_.news()

    async def _next(self, known: GrowthRecords, now: float) -> Growth | None:
        """Return the growth in its next phase; None while the current one lasts."""
        growth, request = known.state.growth, known.state.asked
        if growth is not None and (reason := known.state.why_cancel(now)):
            return moved(growth, GrowthPhase.CANCELLED, now, step=1, reason=reason)
        if growth is not None and growth.phase is GrowthPhase.PAUSING:
            return await self._copy(growth, now)
        if growth is not None and growth.phase is GrowthPhase.COPYING:
            return await self._switch(growth, now)
        if growth is not None and growth.phase is GrowthPhase.FILLING:
            return moved(growth, GrowthPhase.DONE, now, step=1) if await self._all_filled(known.state) else None
        if request is not None and known.generation is not None:
            return await self._begin(request, known, known.generation, now)
        return None

    async def _begin(
        self, request: ScaleRequest, known: GrowthRecords, current: Generation, now: float
    ) -> Growth | None:
        """Check a request, and create the topics of the next generation before anybody hears of it."""
        peers = await self._consumer.peers()
        if peers is None:
            return None
        declared, step = self._runtime.declared, known.state.step
        async with Cluster(self._runtime.options.connection) as cluster:
            new = await self._unused(cluster, next_generation(declared, current, request.partitions, known.highest))
            found = problems(self._runtime, self._plan, self._topics, peers, new)
            if not found:
                try:
                    await create_topics(placed(declared, new), cluster, log.info)
                    self._runtime.reached("growth.created")
                except LarderError as error:
                    found = [str(error)]
        if found:
            return refused(request.id, step, current, found, now, new.number)
        until = now + request.within
        return Growth(request.id, step + 1, GrowthPhase.PAUSING, new, now, now, until, highest=new.number)

    async def _unused(self, cluster: Cluster, new: Generation) -> Generation:
        """Return a generation without topics: a driver may have died after it created them, with another number."""
        while True:
            names = [use.name for use in topics_of(placed(self._runtime.declared, new))]
            of_it = [name for name in names if of_generation("", new.number) in name]
            if not await cluster.facts(of_it):
                return new
            new = msgspec.structs.replace(new, number=new.number + 1)

    async def _copy(self, growth: Growth, now: float) -> Growth | None:
        """Return the growth that lets the workers copy, once all have paused."""
        if not await self._all_paused():
            return None
        # A replay that began before can commit no more. One that begins later reads that the service is being scaled.
        await end_transaction(self._runtime.options.connection, settling_id(self._plan.service.name))
        return moved(growth, GrowthPhase.COPYING, now)

    async def _all_paused(self) -> bool:
        """Whether nobody works by an older plan any more, and nothing is on its way (rule 29)."""
        if not await self._all_work_by_it():
            return False
        offsets = await self._consumer.offsets(self._of(self._plan.group_topics))
        if offsets.pending or self._plan.growth is None:
            return False
        reacting = self._of([name for name in self._plan.reactions if name in self._plan.growth.copies])
        return all_processed(offsets.committed, await self._highs(reacting))

    async def _switch(self, growth: Growth, now: float) -> Growth | None:
        """Return the growth with the next generation as it begins, once all is copied."""
        plan = self._plan.growth
        if plan is None or not await self._all_work_by_it() or not await self._all_copied(plan):
            return None
        counts = {each.output.topic: each.output.partitions for each in plan.copies.values()}
        tps = [TopicPartition(name, number) for name in sorted(counts) for number in range(counts[name])]
        return switched(growth, await self._highs(tps), await self._floors(growth.generation), now)

    async def _all_copied(self, plan: GrowthPlan) -> bool:
        tps = self._of(plan.copies)
        offsets = await self._consumer.offsets(tps)
        if offsets.pending:
            return False
        # The ends after the offsets.
        return all_copied(offsets.committed, await self._highs(tps), plan.number)

    async def _floors(self, new: Generation) -> Mapping[str, int]:
        before = self._plan.service.generation
        states = {
            each.operator.state.name: self._of([each.state.topic])
            for each in self._plan.decides
            if each.operator.state.name in new.counts
        }
        highs = await self._highs([tp for tps in states.values() for tp in tps])
        ends = {name: [highs[tp] for tp in tps] for name, tps in states.items()}
        return floors(before.floors if before else {}, ends)

    async def _all_filled(self, state: GrowthState) -> bool:
        peers, group = await self._consumer.peers(), self._consumer.member().generation
        return work_by(peers, self.step) and all_filled(state.filled, peers or (), self.step, group)

    async def _report_filled(self, log_: GrowthLog) -> None:
        """Report once in each generation of the group that this worker has all rows of its mirrors."""
        growth = log_.known.state.growth
        if growth is None or growth.phase is not GrowthPhase.FILLING or growth.step != self.step:
            return
        group = self._consumer.member().generation
        tables = [self._runtime.tables[use.read_from.name] for use in self._plan.service.tables if use.mirrored]
        here = [table.at(number) for table in tables for number in table.partitions]
        if group not in self._filled and all(each.caught_up() for each in here):
            worker = self._runtime.options.worker
            await write_record(
                self._runtime.options.connection, self._plan.service.name, Filled(worker, self.step, group)
            )
            self._filled.add(group)

    async def _all_work_by_it(self) -> bool:
        return work_by(await self._consumer.peers(), self.step)

    def _of(self, topics: Collection[str]) -> list[TopicPartition]:
        counts = self._topics.partition_counts
        return [TopicPartition(name, number) for name in topics for number in range(counts[name])]

    async def _highs(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the ends of all records, also of those in open transactions."""
        connection = self._runtime.options.connection
        if not tps:
            return {}
        async with reader(connection, "read_uncommitted", request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
            return {tp: span.end for tp, span in (await spans(consumer, tps)).items()}
