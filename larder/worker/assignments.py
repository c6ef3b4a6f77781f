"""What is made of each assignment: where partitions begin, which stores are open, and the lanes of what is processed.

An input goes on from the offset that the group has committed; a table from where its store is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial

from aiokafka.structs import TopicPartition

from larder.assembly.build import Assembly
from larder.assembly.context import Assignment
from larder.assembly.plan import ServicePlan
from larder.declaring.problems import Problem
from larder.group.faust_consumer import Consumer
from larder.group.start_offsets import Offsets
from larder.group.takeover import offsets_to_go_on_from
from larder.kafka.clients import end_transaction
from larder.local_tables.horizon import LogRange
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun
from larder.processing.loop import Processing
from larder.worker.input_offsets import InputOffsets
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

log = logging.getLogger("larder")


class Assignments:
    """The assignment that a worker has: `waiting` has what waits for rows, by the partition of the input.

    `stored` says how far the stores of co-partitioned tables are. `held_back` has the inputs whose records are not
    processed since topics have other numbers of partitions than they require.
    """

    def __init__(
        self, runtime: Runtime, plan: ServicePlan, topics: ServiceTopics, inputs: InputOffsets, processing: Processing,
        standbys: Standbys, consumer: Consumer,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.waiting: Mapping[TopicPartition, list[Waiting]] = {}
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
        """Why inputs are held back, each cause once."""
        here = [self.held_back[tp] for tp in self._processing.assigned if tp in self.held_back]
        return sorted({str(problem) for problem in (*here, *self._topics.placement.problems.values())})

    async def make(self, assigned: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Make lanes for what is assigned, and give the offset at which each partition is to be read."""
        offsets = await self._look(assigned)
        self._close_others(assigned)
        self._delivery.assign(assigned)
        starts = {tp: self._start(tp, offsets) for tp in sorted(assigned)}
        self._inputs.ends, self._inputs.highs = dict(offsets.ends), {}
        assignment = Assignment(
            self.plan, frozenset(assigned), self._tables, self._runtime.counts, self._runtime.feeds, self._begun,
            self._consumer.member().generation, self._delivery, lambda: self._processing.epoch,
            self._runtime.clock, self._topics.placement, self._topics.partition_counts,
        )  # fmt: skip
        assembly = Assembly(assignment)
        lanes = assembly.lanes()
        self.waiting = assignment.waiting
        self._log_held_back(assigned, assembly.held_back)
        await self._processing.replace(lanes, assembly.chores)
        return starts

    async def _look(self, assigned: Collection[TopicPartition]) -> Offsets:
        """Ask for topics and offsets; from now on, what was measured before counts no more."""
        topics = await self._consumer.describe(self.plan.group_topics)
        self._topics.note(topics, self._tables)
        for table in self._tables.values():
            if table.held == "global":
                table.remeasure(table.partitions)
        end = partial(end_transaction, self._runtime.options.connection)
        offsets = await offsets_to_go_on_from(self._consumer, assigned, self._delivery.guarantee.by, end)
        if self._topics.placement.heed(offsets.placed_by()):
            self._topics.note(topics, self._tables)
        return offsets

    def _start(self, tp: TopicPartition, offsets: Offsets) -> int:
        if tp.topic in self.plan.inputs:
            start = self._inputs.positions[tp] = self._inputs.begin(tp, offsets)
            # Also where nothing has come yet: a partition without an offset looks like one that was lost.
            self._delivery.done(tp, start)
            return start
        table = self._tables[tp.topic]
        table.open([tp.partition])
        if tp.topic in self.plan.reactions:
            self._begin_reacting(tp, table, offsets)
        return table.resume({tp.partition: LogRange(offsets.begins[tp], offsets.ends[tp])})[tp.partition]

    def _begin_reacting(self, tp: TopicPartition, table: LocalTable, offsets: Offsets) -> None:
        """What the group has committed decides to which changes there has been no reaction."""
        committed = self._inputs.begin(tp, offsets)
        if table.rebuild_if_ahead(tp.partition, committed):
            # Changes that lie between would never be reacted to.
            log.info("table %s partition %d: rebuilt, so that each change is reacted to", *tp)
        self._begun[tp] = Begun(committed, offsets.ends[tp])
        self._delivery.done(tp, committed)

    def _log_held_back(self, assigned: Collection[TopicPartition], held_back: Mapping[TopicPartition, Problem]) -> None:
        """One line for each cause while it lasts, however often partitions are assigned."""
        others = {tp: problem for tp, problem in self.held_back.items() if tp not in assigned}
        self.held_back = {**others, **held_back}
        problems = {each.declared: each for each in (*held_back.values(), *self._topics.placement.problems.values())}
        for declared, problem in problems.items():
            if declared not in self._logged:
                log.warning("%s", problem)
        self._logged = {*problems, *(each.declared for each in others.values())}

    def _close_others(self, assigned: Collection[TopicPartition]) -> None:
        """Close what another worker has now of co-partitioned tables, and what this one does not follow."""
        for name, table in self._tables.items():
            if table.held == "partition":
                for partition in table.partitions:
                    tp = TopicPartition(name, partition)
                    if tp not in assigned and not self._standbys.follows(tp):
                        table.close(partition)

    def note_stored(self) -> None:
        """Note how far stores are; those that were closed since are kept in mind: they can be opened.

        A new mapping each time, as it is read in the consumer's thread.
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

    def let_go(self) -> None:
        """Rows that come from now on release nothing: the partitions' next worker asks for all that waits."""
        self.waiting = {}
        for table in self._tables.values():
            table.changes.forget_listeners()
