"""Builds the lanes for an assignment: for each partition a handler, made of what is declared on its topic.

Tables come first, then those that nobody declared, then inputs, which is also their priority. Knows all parts
of the engine and starts none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, starmap

from aiokafka.structs import TopicPartition

from larder.assembly.context import PartitionContext, Shared
from larder.assembly.decides import DecideParts, DecidePlan
from larder.assembly.joins import JoinPlan
from larder.assembly.operator_plan import build
from larder.assembly.placement import Placement
from larder.assembly.plan import InputPlan, ServicePlan
from larder.counters.counts import Counts
from larder.counters.operator_counts import ReactionCounts
from larder.declaring.keys import BYTES, KeyType
from larder.declaring.problems import Problem
from larder.declaring.reactions import counted_reactions
from larder.delivery.delivery import Delivery
from larder.local_tables.kept_rows import KeptRows
from larder.local_tables.table import LocalTable
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun, ReactingHandler
from larder.operators.user_agents import AgentHandler, Feed
from larder.processing.handlers import InputHandler, InputStep, TableHandler
from larder.processing.lanes import Lane
from larder.processing.loop import Chore
from larder.processing.replaying import ReplayHandler


class Assembly:
    """What is built for one assignment."""

    def __init__(
        self,
        plan: ServicePlan,
        assigned: Collection[TopicPartition],
        tables: Mapping[str, LocalTable],
        counts: Counts,
        feeds: Mapping[str, Feed],
        begun: Mapping[TopicPartition, Begun],
        generation: int,
        delivery: Delivery,
        epoch: Callable[[], int],
        clock: Callable[[], float],
        placement: Placement,
        partition_counts: Mapping[str, int],
    ) -> None:
        self._plan = plan
        self._assigned = assigned
        self._tables = tables
        self._feeds = feeds
        self._begun = begun
        self._delivery = delivery
        self._epoch = epoch
        self._placement = placement
        self._partition_counts = partition_counts
        self.held_back: dict[TopicPartition, Problem] = {}
        self._shared = Shared(plan, tables, counts, generation, delivery, clock)
        self._decides = DecideParts(self._shared, assigned)

    @property
    def waiting(self) -> Mapping[TopicPartition, list[Waiting]]:
        """What waits for rows, by the partition of the input."""
        return self._shared.waiting

    @property
    def chores(self) -> Sequence[Chore]:
        """What waits for a row or a time."""
        return [
            *chain.from_iterable(self.waiting.values()),
            *self._decides.wake_ups.values(),
            *starmap(KeptRows, self._needed_whole()),
        ]

    def _needed_whole(self) -> Iterator[tuple[LocalTable, int]]:
        for tp in self._assigned:
            if (table := self._tables.get(tp.topic)) is not None and table.role.needs_each_row:
                yield table, tp.partition

    def lanes(self) -> dict[TopicPartition, Lane]:
        """Lanes in the order of their priority."""
        assigned = self._assigned
        for table in self._tables.values():
            table.changes.forget_listeners()
        sources = {tp: self._plan.inputs[tp.topic].replays for tp in _of(assigned, self._plan.inputs)}
        inputs = {tp: self._input(tp) for tp, source in sources.items() if source is None}
        replays = {tp: self._replay(tp, source, inputs) for tp, source in sources.items() if source is not None}
        tables = {tp: self._table(tp) for tp in _of(assigned, self._plan.partitioned)}
        internal = {tp: self._table(tp) for tp in _of(assigned, self._plan.internal)}
        return {**tables, **internal, **inputs, **replays}

    def _table(self, tp: TopicPartition) -> Lane:
        table, parking = self._tables[tp.topic], self._shared.dead_letters(tp)
        if (reactions := self._plan.reactions.get(tp.topic)) is not None:
            counts = self._shared.counts.under(counted_reactions(tp.topic), ReactionCounts)
            reacting = ReactingHandler(tp, table, reactions, self._begun[tp], parking, self._delivery, counts)
            return Lane(tp, reacting, self._held_table(tp))
        handler = TableHandler(table, tp.partition, parking, self._delivery)
        handler.publish_left_over()
        return Lane(tp, handler, self._held_table(tp))

    def _held_table(self, tp: TopicPartition) -> Callable[[], bool]:
        """A partition that was added holds keys that belong elsewhere by the number of before."""
        beyond = tp.topic in self._placement.problems and self._tables[tp.topic].lies_beyond(tp.partition)
        return _always if beyond else _never

    def _input(self, tp: TopicPartition) -> Lane:
        plan = self._plan.inputs[tp.topic]
        if plan.agents:
            agent = plan.agents[0]
            feed = self._feeds[tp.topic]
            handler = AgentHandler(tp, agent.topic.row, feed, self._delivery, self._epoch)
            return Lane(tp, handler, _never)
        if (problem := self._placement.problem_of(tp.topic)) is not None:
            self.held_back[tp] = problem
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        lacking = [name for name in sorted({*self._read(plan), *plan.kept}) if not self._is_open(name, tp.partition)]
        if lacking:
            # There is another assignment once a topic that was deleted is there again, or one that is too small grows.
            self._hold_back(tp, [name for name in lacking if self._is_uneven(tp, name)])
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        at = PartitionContext(tp, self._shared, self._decides)
        steps: dict[str, InputStep] = {each.step: build(each, at) for each in plan.steps}
        return Lane(tp, InputHandler(tp, steps, self._delivery, _key_type(plan)), self._held(tp, plan))

    def _replay(self, tp: TopicPartition, replays: str, inputs: Mapping[TopicPartition, Lane]) -> Lane:
        """What is replayed goes to the steps of its input, and waits for what they wait for."""
        source = TopicPartition(replays, tp.partition)
        if source not in inputs or not isinstance(handler := inputs[source].handler, InputHandler):
            self.held_back[tp] = self._apart(tp, replays)
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        if source in self.held_back:
            self.held_back[tp] = self.held_back[source]
        return Lane(
            tp, ReplayHandler(tp, source, handler, self._delivery, self._shared.dead_letters), inputs[source].held
        )

    def _apart(self, tp: TopicPartition, source: str) -> Problem:
        return Problem(
            f"topic {tp.topic}, partition {tp.partition}",
            f"requires as many partitions as {source}, whose dead letters are replayed in it",
            f"{self._partition_counts[tp.topic]}, and {self._partition_counts[source]} of {source}",
            "add partitions where there are fewer, with kafka-topics for instance; until then what is replayed there is"
            " held back",
        )

    def _is_uneven(self, tp: TopicPartition, name: str) -> bool:
        """The partition of that number is not there, or is assigned apart from that of the input."""
        return self._tables[name].partition_count != self._partition_counts[tp.topic]

    def _hold_back(self, tp: TopicPartition, uneven: Sequence[str]) -> None:
        if uneven:
            self.held_back[tp] = Problem(
                f"input {tp.topic}, partition {tp.partition}",
                f"its joins require as many partitions as it has in {' and '.join(uneven)}",
                " and ".join(str(self._tables[name].partition_count) for name in uneven),
                "add partitions where there are fewer, with kafka-topics for instance; until then its records are held"
                " back",
            )

    def _is_open(self, name: str, partition: int) -> bool:
        table = self._tables[name]
        return table.held == "global" or table.stored.is_open(partition)

    def _held(self, tp: TopicPartition, plan: InputPlan) -> Callable[[], bool]:
        """Until the tables that it reads are caught up, what it needs can be read, and what waits is taken over."""
        tables = [self._tables[name].at(tp.partition) for name in self._read(plan)]
        whole = [self._tables[name].at(tp.partition) for name in self._plan.needed_whole(tp.topic)]
        waiting = [*self.waiting.get(tp, ()), *self._decides.waiting(tp.partition, _decides(plan))]

        def held() -> bool:
            if not all(table.caught_up() for table in tables):
                return True
            return not all(each.ready for each in waiting) or any(each.unreadable() for each in whole)

        return held

    def _read(self, plan: InputPlan) -> Collection[str]:
        """The tables that are read for the records of an input."""
        used = {table.name for each in plan.operators for table in each.operator.uses()}
        places = {each.places.topic for each in plan.rekeyings.values() if each.places is not None}
        gathered = set() if plan.gathers is None else {plan.gathers.of.output.topic}
        return used.union(places, gathered, *(self._decides.needed(each) for each in _decides(plan)))


def _decides(plan: InputPlan) -> list[DecidePlan]:
    return [each for each in plan.operators if isinstance(each, DecidePlan)]


def _of(assigned: Collection[TopicPartition], topics: Collection[str]) -> list[TopicPartition]:
    return sorted(tp for tp in assigned if tp.topic in topics)


def _key_type(plan: InputPlan) -> KeyType:
    """That of the message keys of an input, where they go on to an output or a store."""
    sources = [each.operator.source for each in plan.operators if isinstance(each, JoinPlan)]
    sources += [each.rekeyed for each in plan.rekeyings.values()]
    return sources[0].key_codec if sources else BYTES


def _never() -> bool:
    return False


def _always() -> bool:
    return True
