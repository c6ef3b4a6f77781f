"""Turns each assignment into starting offsets, open stores and lanes.

An input continues from the offset that the group has committed, a table from the position of its store.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial

from aiokafka.structs import TopicPartition

from larder.assembly.build import Assembly
from larder.assembly.context import Assignment
from larder.assembly.plan import ServicePlan
from larder.declaring.growth import GrowthPhase
from larder.declaring.problems import Problem
from larder.group.faust_consumer import Consumer
from larder.group.start_offsets import Offsets
from larder.group.takeover import offsets_to_go_on_from
from larder.kafka.clients import end_transaction
from larder.local_tables.horizon import LogRange
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.operators.calls.calls import PartitionCalls
from larder.operators.copying import Cursor
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun
from larder.processing.loop import Processing
from larder.worker.driving import Driving
from larder.worker.input_offsets import InputOffsets
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

log = logging.getLogger("larder")


class Assignments:
    """The current assignment of a worker.

    `waiting` holds the joins whose records wait for rows, by input partition. `calls` holds the calls, by name and by
    the partitions of their events and outcomes. `stored` holds the positions of the stores of co-partitioned tables.
    `held_back` holds the inputs that are not processed because a topic has the wrong number of partitions.
    """

    def __init__(
        self, runtime: Runtime, plan: ServicePlan, topics: ServiceTopics, inputs: InputOffsets, processing: Processing,
        standbys: Standbys, consumer: Consumer, driving: Driving,
    ) -> None:  # fmt: skip
        self.plan = plan
        self._driving = driving
        self.copied: dict[TopicPartition, Cursor] = {}
        """Where each partition begins to be copied into the next generation of the service."""
        self.waiting: Mapping[TopicPartition, list[Waiting]] = {}
        self.calls: Mapping[tuple[str, TopicPartition], PartitionCalls] = {}
        self.stored: Mapping[TopicPartition, int] = {}
        self.held_back: Mapping[TopicPartition, Problem] = {}
        self._runtime = runtime
        self._topics = topics
        self._inputs = inputs
        self._processing = processing
        self._delivery = processing.delivery
        self._standbys = standbys
        self._consumer = consumer
        self._tables = runtime.tables
        self._begun: dict[TopicPartition, Begun] = {}
        self._logged: Collection[str] = ()

    @property
    def problems(self) -> list[str]:
        """The reasons why inputs are held back, each once."""
        here = [self.held_back[tp] for tp in self._processing.assigned if tp in self.held_back]
        return sorted({str(problem) for problem in (*here, *self._topics.placement.problems.values())})

    async def make(self, assigned: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Build the lanes of the assigned partitions, and return the offset from which to read each of them."""
        offsets = await self._read_offsets(assigned)
        state = await self._driving.read()
        if state.step != self._driving.step:
            # The service has another plan by now, and so will this worker in a moment. It must not commit anything.
            self._delivery.assign(())
            await self._processing.replace({}, ())
            self._runtime.requests.close()
            return {tp: offsets.begins[tp] for tp in assigned}
        self._close_others(assigned)
        self._delivery.assign(assigned)
        self._runtime.callers.renew()
        self._inputs.origins, self._inputs.positions, self.copied = {}, {}, {}
        copying = self.plan.growth is not None and state.phase is GrowthPhase.COPYING
        starts = {tp: self._start(tp, offsets, copying=copying) for tp in sorted(assigned)}
        self._inputs.ends, self._inputs.highs = dict(offsets.ends), {}
        assignment = Assignment(
            self.plan, frozenset(assigned), self._tables, self._runtime.counts, self._runtime.feeds, self._begun,
            self._consumer.member().generation, self._delivery, lambda: self._processing.epoch,
            self._runtime.clock, self._topics.placement, self._topics.partition_counts, self.copied,
            {tp: position for tp, position in self._inputs.positions.items() if tp in assigned},
            {tp: floor for tp in assigned if (floor := self._inputs.floor(tp)) > starts[tp]},
            self._inputs.new.holds, self._inputs.new.unfit(assigned), self._driving.chore(assigned, self._delivery),
            self._runtime.options.worker, offsets.ends, self._topics.ids, self._runtime.callers.of,
        )  # fmt: skip
        assembly = Assembly(assignment)
        lanes = assembly.lanes()
        self.waiting, self.calls = assignment.waiting, assignment.calls
        self._log_held_back(assigned, assembly.held_back)
        await self._processing.replace(lanes, assembly.chores)
        self._runtime.requests.open(assembly.requests, self._processing.wake)
        return starts

    async def _read_offsets(self, assigned: Collection[TopicPartition]) -> Offsets:
        """Ask the broker for topics and offsets, and discard earlier measurements."""
        topics = await self._consumer.describe(self.plan.group_topics)
        self._topics.note(topics, self._tables)
        for table in self._tables.values():
            if table.held == "global":
                table.remeasure(table.partitions)
        end = partial(end_transaction, self._runtime.options.connection)
        found = await offsets_to_go_on_from(self._consumer, assigned, self._delivery.guarantee.by, end)
        growth = self.plan.growth
        offsets = found.of_generation(self._generation, None if growth is None else growth.number)
        if self._topics.placement.adopt_committed(offsets.placed_by()):
            self._topics.note(topics, self._tables)
        generation = self.plan.service.generation
        filled = {} if generation is None else generation.filled
        await self._inputs.new.begin(self.plan, offsets, self._topics.partition_counts, filled)
        return offsets

    @property
    def _generation(self) -> int:
        generation = self.plan.service.generation
        return 1 if generation is None else generation.number

    def _start(self, tp: TopicPartition, offsets: Offsets, *, copying: bool) -> int:
        growth = self.plan.growth
        if copying and growth is not None and (copy := growth.copies.get(tp.topic)) is not None:
            kind = copy.copy.kind
            start = self._inputs.begin_copying(tp, offsets, growth.number, rest=kind == "rest")
            self._inputs.positions[tp] = start
            self.copied[tp] = Cursor(start, offsets.begins[tp])
            self._delivery.done(tp, start)
            if (table := self._tables.get(tp.topic)) is None:
                return start
            table.open([tp.partition])
            stored = table.resume({tp.partition: LogRange(offsets.begins[tp], offsets.ends[tp])})[tp.partition]
            return stored if kind == "waiting" else min(start, stored)
        if tp.topic in self.plan.inputs:
            start = self._inputs.positions[tp] = self._inputs.begin(tp, offsets)
            # Even without any record so far: a missing offset would look like a lost one.
            self._delivery.done(tp, start)
            return min(start, self._start_kept(tp, start, offsets)) if tp.topic in self.plan.partitioned else start
        table = self._tables[tp.topic]
        table.open([tp.partition])
        if tp.topic in self.plan.reactions:
            self._begin_reacting(tp, table, offsets)
        return table.resume({tp.partition: LogRange(offsets.begins[tp], offsets.ends[tp])})[tp.partition]

    def _start_kept(self, tp: TopicPartition, start: int, offsets: Offsets) -> int:
        """Return where to read a topic as a table that is an input as well, from `start` on: the source of a mirror."""
        table = self._tables[tp.topic]
        table.open([tp.partition])
        if tp.topic in self.plan.reactions:
            # One lane does both, so that they have one offset; before the floor, the reactions were done.
            begun = max(start, self._inputs.floor(tp))
            table.rebuild_if_ahead(tp.partition, begun)
            self._begun[tp] = Begun(begun, offsets.ends[tp])
        return table.resume({tp.partition: LogRange(offsets.begins[tp], offsets.ends[tp])})[tp.partition]

    def _begin_reacting(self, tp: TopicPartition, table: LocalTable, offsets: Offsets) -> None:
        """Start reacting at the committed offset: the changes after it have had no reaction yet."""
        generation = self.plan.service.generation
        heads = None if generation is None else generation.heads.get(tp.topic)
        if heads is not None and tp not in offsets.committed:
            # The service has reacted to the rows that were copied there.
            committed = heads[tp.partition]
        else:
            committed = self._inputs.begin(tp, offsets)
        if table.rebuild_if_ahead(tp.partition, committed):
            # Otherwise the changes in between would never get a reaction.
            log.info("table %s partition %d: rebuilt, so that no change misses its reaction", *tp)
        self._begun[tp] = Begun(committed, offsets.ends[tp])
        self._delivery.done(tp, committed)

    def _log_held_back(self, assigned: Collection[TopicPartition], held_back: Mapping[TopicPartition, Problem]) -> None:
        """Log each cause once while it lasts, however often partitions are assigned."""
        others = {tp: problem for tp, problem in self.held_back.items() if tp not in assigned}
        self.held_back = {**others, **held_back}
        problems = {each.declared: each for each in (*held_back.values(), *self._topics.placement.problems.values())}
        for declared, problem in problems.items():
            if declared not in self._logged:
                log.warning("%s", problem)
        self._logged = {*problems, *(each.declared for each in others.values())}

    def _close_others(self, assigned: Collection[TopicPartition]) -> None:
        """Close the partitions of co-partitioned tables that are neither assigned nor followed as standbys."""
        for name, table in self._tables.items():
            if table.held == "partition":
                for partition in table.partitions:
                    tp = TopicPartition(name, partition)
                    if tp not in assigned and not self._standbys.follows(tp):
                        table.close(partition)

    def note_stored(self) -> None:
        """Note the positions of the stores, and keep those of closed stores, which can be reopened.

        Create a new mapping each time, because the consumer's thread reads it.
        """
        self.stored = {
            **self.stored,
            **{
                TopicPartition(name, partition): table.position(partition)
                for name, table in self._tables.items()
                if table.held == "partition"
                for partition in table.partitions
            },
        }

    def stop_releasing(self) -> None:
        """Release no more records when rows arrive: the next owner of the partitions looks all of them up again.

        Take no more requests either.
        """
        self.waiting, self.calls = {}, {}
        self._runtime.requests.close()
        for table in self._tables.values():
            table.changes.forget_listeners()
