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
from larder.assembly.plan import GrowthPlan, InputPlan
from larder.assembly.uneven import being_scaled, too_few_partitions, uneven_replays
from larder.declaring.keys import BYTES, KeyType
from larder.declaring.problems import Problem
from larder.local_tables.kept_rows import KeptRows
from larder.local_tables.table import LocalTable
from larder.operators.copying import CopyHandler, Copying, PutBack, StoreHandler
from larder.operators.decides.requests import RequestQueue
from larder.operators.partition_keys import key_of
from larder.operators.reactions import ReactingHandler
from larder.operators.user_agents import AgentHandler
from larder.processing.handlers import BothHandler, FromOffset, InputHandler, InputStep, TableHandler
from larder.processing.heads import HeadHandler
from larder.processing.lanes import Lane
from larder.processing.loop import Chore
from larder.processing.replaying import Onward, ReplayHandler


class Assembly:
    """Builds the parts of one assignment. `held_back` has the reasons why inputs get a lane that does not run."""

    def __init__(self, assignment: Assignment) -> None:
        self.held_back: dict[TopicPartition, Problem] = {}
        self._assignment = assignment
        self._plan = assignment.plan
        self._tables = assignment.tables
        self._decides = DecideParts(assignment)
        self._put_back: dict[TopicPartition, PutBack] = {}
        self._requests = {} if self._plan.growth is not None else self._decides.requests()

    @property
    def chores(self) -> Sequence[Chore]:
        """The work that waits for a row or a time; while the service is being scaled, only what belongs to that."""
        driver = [] if self._assignment.driver is None else [self._assignment.driver]
        if self._plan.growth is not None:
            return [*driver, *self._put_back.values()]
        return [
            *driver,
            *chain.from_iterable(self._assignment.waiting.values()),
            *self._decides.wake_ups.values(),
            *dict.fromkeys(self._assignment.calls.values()),
            *self._requests.values(),
            *self._decides.counted.values(),
            *starmap(KeptRows, self._needed_whole()),
        ]

    @property
    def requests(self) -> Mapping[tuple[str, int], RequestQueue]:
        """The requests that may be decided here, by address and partition; none while the service is being scaled."""
        return self._requests

    def _needed_whole(self) -> Iterator[tuple[LocalTable, int]]:
        for tp in self._assignment.assigned:
            if (table := self._tables.get(tp.topic)) is not None and table.role.needs_each_row:
                yield table, tp.partition

    def lanes(self) -> dict[TopicPartition, Lane]:
        """Build the lanes, in order of priority."""
        plan, of = self._plan, self._assignment.of
        for table in self._tables.values():
            table.changes.forget_listeners()
        if plan.growth is not None:
            return self._growing_lanes(plan.growth)
        sources = {tp: plan.inputs[tp.topic].replays for tp in of(plan.inputs)}
        inputs = {tp: self._input(tp) for tp, source in sources.items() if source is None}
        replays = {tp: self._replay(tp, source, inputs) for tp, source in sources.items() if source is not None}
        tables = {tp: self._table(tp) for tp in of(plan.partitioned)}
        internal = {tp: self._table(tp) for tp in of(plan.internal)}
        both = {tp: self._both(tables[tp], inputs[tp]) for tp in tables.keys() & inputs.keys()}
        return {**tables, **internal, **inputs, **replays, **both}

    def _both(self, table: Lane, source: Lane) -> Lane:
        """Build a lane for a topic that is the source of a mirror, and is read as a table as well."""
        begin = self._assignment.begins[table.tp]
        return Lane(table.tp, BothHandler(table.handler, source.handler, begin), lambda: table.held() or source.held())

    def _growing_lanes(self, growth: GrowthPlan) -> dict[TopicPartition, Lane]:
        """Build lanes that keep tables up to date, and copy them; no input is processed."""
        plan, of, copied = self._plan, self._assignment.of, self._assignment.copied
        agents = {tp for tp in of(plan.inputs) if plan.inputs[tp.topic].agents}
        held = {
            tp: self._lane_held_back(tp, being_scaled(plan.service.name, growth.partitions))
            for tp in of(plan.inputs)
            if tp not in agents
        }
        tables = {tp: self._table(tp) for tp in of([*plan.partitioned, *plan.internal]) if tp not in copied}
        warm = {tp: Lane(tp, StoreHandler(self._assignment.at(tp)), _never) for tp in of(growth.warm)}
        for tp in copied:
            if growth.copies[tp.topic].copy.kind == "waiting":
                self._put_back[tp] = self._new_put_back(tp, growth)
        copying = {tp: self._copy(tp, growth) for tp in copied}
        return {**tables, **warm, **held, **{tp: self._input(tp) for tp in agents}, **copying}

    def _new_put_back(self, tp: TopicPartition, growth: GrowthPlan) -> PutBack:
        plan = growth.copies[tp.topic]
        at = self._assignment.at(tp)
        return PutBack(at, plan.copy.step, plan.output, key_of(plan.copy.by), self._assignment.copied[tp])

    def _copy(self, tp: TopicPartition, growth: GrowthPlan) -> Lane:
        at, plan = self._assignment.at(tp), growth.copies[tp.topic]
        if tp in self._put_back:
            return Lane(tp, StoreHandler(at), _never)
        table = self._tables.get(tp.topic)
        copying = Copying(plan.output, key_of(plan.copy.by), at, table)
        before = [TopicPartition(name, tp.partition) for name in growth.waiting(tp.topic)]
        waiting = [self._put_back[each] for each in before if each in self._put_back]

        def held() -> bool:
            # What waits goes first, so that the records of a key keep their order.
            return plan.copy.kind == "rest" and not all(each.done for each in waiting)

        return Lane(tp, CopyHandler(at, copying, self._assignment.copied[tp], table), held)

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
        if (problem := assignment.unfit.get(tp) or assignment.placement.problem_of(tp.topic)) is not None:
            return self._lane_held_back(tp, problem)
        lacking = [name for name in sorted({*self._read(plan), *plan.kept}) if not self._is_open(name, tp.partition)]
        if lacking:
            # A new assignment follows once a deleted topic is recreated, or a small one gets more partitions.
            counts, mine = {name: self._tables[name].partition_count for name in lacking}, self._count(tp)
            return self._lane_held_back(tp, too_few_partitions(tp, mine, counts))
        at = assignment.input(tp, self._decides)
        steps: dict[str, InputStep] = {each.step: build(each, at.for_step(each.step)) for each in plan.steps}
        handler = InputHandler(at, self._from_floors(tp, plan, steps), _key_type(plan))
        heads = assignment.heads(tp.topic)
        first = handler if heads is None else HeadHandler(at, handler, heads[tp.partition])
        return Lane(tp, first, self._held(tp, plan))

    def _from_floors(self, tp: TopicPartition, plan: InputPlan, steps: dict[str, InputStep]) -> dict[str, InputStep]:
        """Let steps begin where an earlier generation has stopped, if a new mirror reads the input from its start."""
        floor = self._assignment.floors.get(tp, 0)
        mirrors = {each.step for each in plan.rekeyings.values() if each.rekeyed.mirrored}
        return (
            {name: step if name in mirrors else FromOffset(step, floor) for name, step in steps.items()}
            if floor
            else steps
        )

    def _replay(self, tp: TopicPartition, replays: str, inputs: Mapping[TopicPartition, Lane]) -> Lane:
        """Build a lane that passes replayed records to the steps of their input, and is held back with them."""
        source = TopicPartition(replays, tp.partition)
        handler = inputs[source].handler if source in inputs else None
        if isinstance(handler, HeadHandler):
            handler = handler.handler
        if not isinstance(handler, InputHandler):
            return self._lane_held_back(tp, uneven_replays(tp, self._count(tp), source, self._count(source)))
        if source in self.held_back:
            self.held_back[tp] = self.held_back[source]
        former, onward = self._plan.former_inputs(replays), dict(self._onward(replays))
        replaying = ReplayHandler(self._assignment.at(tp), source, handler, former, onward)
        return Lane(tp, replaying, inputs[source].held)

    def _onward(self, name: str) -> Iterator[tuple[str, Onward]]:
        """Yield the steps that an input had before the service was scaled, and where their replays go today."""
        plan = self._plan
        for replays, each in plan.inputs.items():
            if each.replays is not None and name in plan.former_inputs(each.replays):
                onward = Onward(plan.outputs[replays], key_of(plan.rekeyed_into(each.replays)))
                yield from ((step.step, onward) for step in plan.inputs[each.replays].steps)

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
        calls = [each for (_, of), each in self._assignment.calls.items() if of == tp]
        waiting = [
            *self._assignment.waiting.get(tp, ()), *self._decides.waiting(tp.partition, _decides(plan)), *calls
        ]  # fmt: skip
        is_new = self._assignment.is_new

        def held() -> bool:
            if is_new(tp) or not all(table.caught_up() for table in tables):
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
