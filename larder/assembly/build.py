"""Builds the lanes for an assignment: for each partition a handler, made of what is declared on its topic.

Tables come first, then those that nobody declared, then inputs, which is also their priority. Knows all parts
of the engine and starts none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, starmap

from aiokafka.structs import TopicPartition

from larder.assembly.context import Assignment
from larder.assembly.decides import DecideParts, DecidePlan
from larder.assembly.joins import JoinPlan
from larder.assembly.operator_plan import build
from larder.assembly.plan import InputPlan
from larder.assembly.uneven import too_few_partitions, uneven_replays
from larder.declaring.keys import BYTES, KeyType
from larder.declaring.problems import Problem
from larder.local_tables.kept_rows import KeptRows
from larder.local_tables.table import LocalTable
from larder.operators.reactions import ReactingHandler
from larder.operators.user_agents import AgentHandler
from larder.processing.handlers import InputHandler, InputStep, TableHandler
from larder.processing.lanes import Lane
from larder.processing.loop import Chore
from larder.processing.replaying import ReplayHandler


class Assembly:
    """What is built for one assignment. `held_back` says why inputs get no lane that runs."""

    def __init__(self, assignment: Assignment) -> None:
        self.held_back: dict[TopicPartition, Problem] = {}
        self._assignment = assignment
        self._plan = assignment.plan
        self._tables = assignment.tables
        self._decides = DecideParts(assignment)

    @property
    def chores(self) -> Sequence[Chore]:
        """What waits for a row or a time."""
        return [
            *chain.from_iterable(self._assignment.waiting.values()),
            *self._decides.wake_ups.values(),
            *starmap(KeptRows, self._needed_whole()),
        ]

    def _needed_whole(self) -> Iterator[tuple[LocalTable, int]]:
        for tp in self._assignment.assigned:
            if (table := self._tables.get(tp.topic)) is not None and table.role.needs_each_row:
                yield table, tp.partition

    def lanes(self) -> dict[TopicPartition, Lane]:
        """Lanes in the order of their priority."""
        plan, of = self._plan, self._assignment.of
        for table in self._tables.values():
            table.changes.forget_listeners()
        sources = {tp: plan.inputs[tp.topic].replays for tp in of(plan.inputs)}
        inputs = {tp: self._input(tp) for tp, source in sources.items() if source is None}
        replays = {tp: self._replay(tp, source, inputs) for tp, source in sources.items() if source is not None}
        tables = {tp: self._table(tp) for tp in of(plan.partitioned)}
        internal = {tp: self._table(tp) for tp in of(plan.internal)}
        return {**tables, **internal, **inputs, **replays}

    def _table(self, tp: TopicPartition) -> Lane:
        at = self._assignment.at(tp)
        if (reactions := self._plan.reactions.get(tp.topic)) is not None:
            return Lane(tp, ReactingHandler(at, reactions, self._assignment.begun[tp]), self._held_table(tp))
        handler = TableHandler(at)
        handler.publish_left_over()
        return Lane(tp, handler, self._held_table(tp))

    def _held_table(self, tp: TopicPartition) -> Callable[[], bool]:
        """A partition that was added holds keys that belong elsewhere by the number of before."""
        beyond = tp.topic in self._assignment.placement.problems and self._tables[tp.topic].is_beyond(tp.partition)
        return _always if beyond else _never

    def _input(self, tp: TopicPartition) -> Lane:
        plan, assignment = self._plan.inputs[tp.topic], self._assignment
        if plan.agents:
            row, feed = plan.agents[0].topic.row, assignment.feeds[tp.topic]
            return Lane(tp, AgentHandler(assignment.at(tp), row, feed, assignment.epoch), _never)
        if (problem := assignment.placement.problem_of(tp.topic)) is not None:
            return self._lane_held_back(tp, problem)
        lacking = [name for name in sorted({*self._read(plan), *plan.kept}) if not self._is_open(name, tp.partition)]
        if lacking:
            # There is another assignment once a topic that was deleted is there again, or one that is too small grows.
            counts, mine = {name: self._tables[name].partition_count for name in lacking}, self._count(tp)
            return self._lane_held_back(tp, too_few_partitions(tp, mine, counts))
        at = assignment.input(tp, self._decides)
        steps: dict[str, InputStep] = {each.step: build(each, at.for_step(each.step)) for each in plan.steps}
        return Lane(tp, InputHandler(at, steps, _key_type(plan)), self._held(tp, plan))

    def _replay(self, tp: TopicPartition, replays: str, inputs: Mapping[TopicPartition, Lane]) -> Lane:
        """What is replayed goes to the steps of its input, and waits for what they wait for."""
        source = TopicPartition(replays, tp.partition)
        if source not in inputs or not isinstance(handler := inputs[source].handler, InputHandler):
            return self._lane_held_back(tp, uneven_replays(tp, self._count(tp), source, self._count(source)))
        if source in self.held_back:
            self.held_back[tp] = self.held_back[source]
        return Lane(tp, ReplayHandler(self._assignment.at(tp), source, handler), inputs[source].held)

    def _lane_held_back(self, tp: TopicPartition, problem: Problem | None) -> Lane:
        """A lane that keeps its records: because of a problem, or for as long as something is not there yet."""
        if problem is not None:
            self.held_back[tp] = problem
        return Lane(tp, InputHandler(self._assignment.at(tp), {}), _always)

    def _count(self, tp: TopicPartition) -> int:
        return self._assignment.partition_counts[tp.topic]

    def _is_open(self, name: str, partition: int) -> bool:
        table = self._tables[name]
        return table.held == "global" or table.stored.is_open(partition)

    def _held(self, tp: TopicPartition, plan: InputPlan) -> Callable[[], bool]:
        """Until the tables that it reads are caught up, what it needs can be read, and what waits is taken over."""
        tables = [self._tables[name].at(tp.partition) for name in self._read(plan)]
        whole = [self._tables[name].at(tp.partition) for name in self._plan.needed_whole(tp.topic)]
        waiting = [*self._assignment.waiting.get(tp, ()), *self._decides.waiting(tp.partition, _decides(plan))]

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


def _key_type(plan: InputPlan) -> KeyType:
    """That of the message keys of an input, where they go on to an output or a store."""
    sources = [each.operator.source for each in plan.operators if isinstance(each, JoinPlan)]
    sources += [each.rekeyed for each in plan.rekeyings.values()]
    return sources[0].key_codec if sources else BYTES


def _never() -> bool:
    return False


def _always() -> bool:
    return True
