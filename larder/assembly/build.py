"""Builds the lanes of an assignment: for each partition a handler, built from the declarations on its topic.

Declared tables come first, then internal ones, then inputs. This is also their priority. The module knows all parts of
the engine and starts none of them.
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
    """Builds the parts of one assignment. `held_back` has the reasons why inputs get a lane that does not run."""

    def __init__(self, assignment: Assignment) -> None:
        self.held_back: dict[TopicPartition, Problem] = {}
        self._assignment = assignment
        self._plan = assignment.plan
        self._tables = assignment.tables
        self._decides = DecideParts(assignment)

    @property
    def chores(self) -> Sequence[Chore]:
        """The work that waits for a row or a time."""
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
        """Build the lanes, in order of priority."""
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
        """Hold back an added partition: its keys belong elsewhere by the previous partition count."""
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
            # A new assignment follows once a deleted topic is recreated, or a small one gets more partitions.
            counts, mine = {name: self._tables[name].partition_count for name in lacking}, self._count(tp)
            return self._lane_held_back(tp, too_few_partitions(tp, mine, counts))
        at = assignment.input(tp, self._decides)
        steps: dict[str, InputStep] = {each.step: build(each, at.for_step(each.step)) for each in plan.steps}
        return Lane(tp, InputHandler(at, steps, _key_type(plan)), self._held(tp, plan))

    def _replay(self, tp: TopicPartition, replays: str, inputs: Mapping[TopicPartition, Lane]) -> Lane:
        """Build a lane that passes replayed records to the steps of their input, and is held back with them."""
        source = TopicPartition(replays, tp.partition)
        if source not in inputs or not isinstance(handler := inputs[source].handler, InputHandler):
            return self._lane_held_back(tp, uneven_replays(tp, self._count(tp), source, self._count(source)))
        if source in self.held_back:
            self.held_back[tp] = self.held_back[source]
        return Lane(tp, ReplayHandler(self._assignment.at(tp), source, handler), inputs[source].held)

    def _lane_held_back(self, tp: TopicPartition, problem: Problem | None) -> Lane:
        """Build a lane that keeps its records, because of a problem or until something exists."""
        if problem is not None:
            self.held_back[tp] = problem
        return Lane(tp, InputHandler(self._assignment.at(tp), {}), _always)

    def _count(self, tp: TopicPartition) -> int:
        return self._assignment.partition_counts[tp.topic]

    def _is_open(self, name: str, partition: int) -> bool:
        table = self._tables[name]
        return table.held == "global" or table.stored.is_open(partition)

    def _held(self, tp: TopicPartition, plan: InputPlan) -> Callable[[], bool]:
        """Hold back an input until its tables are caught up and readable, and its waiting records are taken over."""
        tables = [self._tables[name].at(tp.partition) for name in self._read(plan)]
        whole = [self._tables[name].at(tp.partition) for name in self._plan.needed_whole(tp.topic)]
        waiting = [*self._assignment.waiting.get(tp, ()), *self._decides.waiting(tp.partition, _decides(plan))]

        def held() -> bool:
            if not all(table.caught_up() for table in tables):
                return True
            return not all(each.ready for each in waiting) or any(each.unreadable() for each in whole)

        return held

    def _read(self, plan: InputPlan) -> Collection[str]:
        """Return the tables that are read for the records of an input."""
        used = {table.read_from.name for each in plan.operators for table in each.operator.uses()}
        places = {each.places.topic for each in plan.rekeyings.values() if each.places is not None}
        gathered = set() if plan.gathers is None else {plan.gathers.of.output.topic}
        return used.union(places, gathered, *(self._decides.needed(each) for each in _decides(plan)))


def _decides(plan: InputPlan) -> list[DecidePlan]:
    return [each for each in plan.operators if isinstance(each, DecidePlan)]


def _key_type(plan: InputPlan) -> KeyType:
    """Return the type of an input's message keys, if they are passed on to an output or a store."""
    sources = [each.operator.source for each in plan.operators if isinstance(each, JoinPlan)]
    sources += [each.rekeyed for each in plan.rekeyings.values()]
    return sources[0].key_codec if sources else BYTES


def _never() -> bool:
    return False


def _always() -> bool:
    return True
