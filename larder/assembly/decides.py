"""Decides in a worker: their plans, and their parts in one assignment.

A decide has rows, wake-ups and near reads for each partition. All inputs of the decide share them. The module starts
none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from larder.assembly.context import Assignment, InputContext
from larder.assembly.operator_plan import KnownFacts, OperatorPlan, build, output_of, plan_operator
from larder.counters.operator_counts import RequestCounts
from larder.declaring.compiled.decides import CompiledDecide, compile_decide
from larder.declaring.counted_requests import requests_name, requests_topic
from larder.declaring.decides import Decide
from larder.declaring.decoding import decoder
from larder.declaring.facts import input_name, wake_ups_name
from larder.declaring.requests import Request
from larder.declaring.service import Service
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic
from larder.delivery.output import Output
from larder.operators.context import PartitionContext
from larder.operators.decides.counted import CountedRequests
from larder.operators.decides.decide import Decider, DecideStep
from larder.operators.decides.near_rows import NearRows, Source
from larder.operators.decides.requests import RequestQueue
from larder.operators.decides.wake_ups import WakeUps, wake_ups_topic
from larder.operators.owned_rows import OwnedRows


@dataclass(frozen=True)
class DecidePlan(OperatorPlan):
    """A decide, the topics it reads and those it writes.

    `wake_ups` is set if its function may set any, `requests` if it takes requests of clients. `public` is the state's
    own topic, if its rows are kept in an internal one: each write goes to both. `outputs` are the topics of `into`, in
    order, followed by the topic of refusals. No row of an earlier generation had a revision above `floor`.
    """

    operator: Decide
    compiled: CompiledDecide
    inputs: tuple[str, ...]
    state: Output
    public: Output | None
    outputs: tuple[Output, ...]
    wake_ups: Output | None
    requests: Output | None
    floor: int = 0

    @property
    def states(self) -> Collection[str]:
        """The decide's state."""
        return (self.state.topic,)

    @property
    def kept(self) -> Collection[str]:
        """The tables of the decide's wake-ups, and of the requests that count once."""
        return tuple(each.topic for each in (self.wake_ups, self.requests) if each is not None)

    def internal(self) -> Iterator[OwnerTopic]:
        """Yield the tables of the decide's wake-ups, and of the requests that count once."""
        if self.wake_ups is not None:
            yield wake_ups_topic(self.wake_ups.topic, self.wake_ups.partitions)
        if self.requests is not None:
            yield requests_topic(self.requests.topic, self.requests.partitions)

    def placed(self, name: str, partitioned: Collection[str]) -> Iterator[str]:
        """Yield the input, the state and the wake-ups; also all co-partitioned tables if the decide reads near rows."""
        yield from (name, self.state.topic, *self.kept)
        if self.operator.reads_near:
            yield from partitioned


@plan_operator.register
def _plan(decide: Decide, service: Service, facts: KnownFacts) -> DecidePlan:
    names = [topic.name for topic in decide.into] + ([] if decide.folds else [service.refusals.name])
    woken = service.woken(decide.state)
    return DecidePlan(
        decide,
        compile_decide(decide, wakes=woken is not None),
        tuple(input_name(service, source) for source in decide.inputs),
        output_of(decide.state.read_from.name, facts),
        output_of(decide.state.name, facts) if decide.state.build is not None else None,
        tuple(output_of(name, facts) for name in names),
        output_of(wake_ups_name(service.name, woken), facts) if woken is not None else None,
        output_of(requests_name(service.name, decide.state), facts) if isinstance(decide, Request) else None,
        0 if service.generation is None else service.generation.floors.get(decide.state.name, 0),
    )


@build.register
def _build(plan: DecidePlan, at: InputContext) -> DecideStep:
    return at.decides.step(at, plan)


class DecideParts:
    """Builds each part of an assignment's decides on first use."""

    def __init__(self, assignment: Assignment) -> None:
        self.wake_ups: dict[tuple[str, int], WakeUps] = {}
        self.counted: dict[tuple[str, int], CountedRequests] = {}
        self._assignment = assignment
        self._plan = assignment.plan
        self._tables = assignment.tables
        # The decide of a state, or else one of its requests: all of them share its rows.
        decides = sorted(assignment.plan.decides, key=lambda each: not isinstance(each.operator, Request))
        self._plans = {each.operator.state.name: each for each in decides}
        self._rows: dict[tuple[str, int], OwnedRows] = {}
        self._deciders: dict[tuple[str, int], Decider] = {}

    def step(self, at: InputContext, plan: DecidePlan) -> DecideStep:
        """Build a decide on an input partition."""
        read = plan.compiled.events[plan.inputs.index(at.tp.topic)]
        return DecideStep(at, read, self._decider(plan, at.tp.partition))

    def needed(self, plan: DecidePlan) -> Iterator[str]:
        """Yield the tables that a decide may read."""
        yield plan.state.topic
        if plan.operator.reads_near:
            yield from (use.read_from.name for use in self._near_tables(plan))

    def waiting(self, partition: int, plans: Collection[DecidePlan]) -> Iterator[WakeUps]:
        """Yield the wake-ups that must be read back before the decides may run."""
        for plan in plans:
            self._decider(plan, partition)
            if plan.wake_ups is not None:
                yield self.wake_ups[plan.wake_ups.topic, partition]

    def requests(self) -> Mapping[tuple[str, int], RequestQueue]:
        """Build the requests of the assigned partitions of their states, by address and partition."""
        plans = [each for each in self._plan.decides if isinstance(each.operator, Request)]
        return {
            (each.operator.name, tp.partition): self._requests(each, tp)
            for each in plans
            for tp in self._assignment.of([each.state.topic])
            if each.state.topic not in self._assignment.placement.problems
        }

    def _requests(self, plan: DecidePlan, tp: TopicPartition) -> RequestQueue:
        tables = [self._tables[name].at(tp.partition) for name in (*self.needed(plan), *plan.kept)]
        decider, waiting = self._decider(plan, tp.partition), list(self.waiting(tp.partition, [plan]))

        def ready() -> bool:
            return all(table.caught_up() for table in tables) and all(each.ready for each in waiting)

        counts = self._assignment.at(tp).counts.of(plan.operator, RequestCounts)
        return RequestQueue(decider, self._counted(plan, tp), self._assignment.delivery, ready, counts)

    def _counted(self, plan: DecidePlan, tp: TopicPartition) -> CountedRequests:
        """Return the requests that a state has counted, at all of its addresses."""
        assert plan.requests is not None  # noqa: S101 - of a request
        place = plan.requests.topic, tp.partition
        if place not in self.counted:
            self.counted[place] = CountedRequests(self._assignment.at(tp).owned(plan.requests))
        return self.counted[place]

    def _near_tables(self, plan: DecidePlan) -> list[TableUse]:
        """Return the global tables, and those whose partitions are assigned together with an event's."""
        return [
            use
            for use in self._plan.service.tables
            if use.held == "global" or self._tables[use.read_from.name].partition_count == plan.state.partitions
        ]

    def _decider(self, plan: DecidePlan, partition: int) -> Decider:
        known = self._deciders.get((plan.operator.name, partition))
        return self._new_decider(plan, partition) if known is None else known

    def _new_decider(self, plan: DecidePlan, partition: int) -> Decider:
        # Only wake-ups use this partition: they are no input records, so they are dead-lettered from their own topic.
        at = self._assignment.at(TopicPartition((plan.wake_ups or plan.state).topic, partition))
        near = NearRows(
            self._plan.service.name,
            partition,
            {use.name: self._near(use, partition) for use in self._near_tables(plan)},
            at.clock,
        )
        decider = Decider(plan.compiled, self._rows_of(plan, at), near, plan.outputs, at)
        self._deciders[plan.operator.name, partition] = decider
        if plan.wake_ups is not None:
            decider.set_wake_up = self._wake_ups_of(plan, plan.wake_ups, at).set
        return decider

    def _rows_of(self, plan: DecidePlan, at: PartitionContext) -> OwnedRows:
        """Return the rows of a state, which its decide and its requests share."""
        place = plan.state.topic, at.tp.partition
        if place not in self._rows:
            self._rows[place] = at.owned(plan.state, plan.public, plan.floor)
        return self._rows[place]

    def _wake_ups_of(self, plan: DecidePlan, wake_ups: Output, at: PartitionContext) -> WakeUps:
        """Return the wake-ups of a state, which its decide handles, also those that a request sets."""
        place, woken = (wake_ups.topic, at.tp.partition), self._plans[plan.operator.state.name]
        # Built for a request, the decide builds its wake-ups itself: there must be one schedule, which both set.
        decider = self._decider(woken, at.tp.partition)
        if place not in self.wake_ups:
            inputs = self._inputs(woken, at.tp.partition)
            self.wake_ups[place] = WakeUps(at.owned(wake_ups), decider, inputs, at.delivery)
        return self.wake_ups[place]

    def _inputs(self, plan: DecidePlan, partition: int) -> Collection[TopicPartition]:
        return self._assignment.assigned & {TopicPartition(name, partition) for name in plan.inputs}

    def _near(self, use: TableUse, partition: int) -> Source:
        if (plan := self._plans.get(use.name)) is not None:
            return Source(lambda key: self._decider(plan, partition).row(key), plan.state.partitions)
        table, typed = self._tables[use.read_from.name], decoder(use.topic.row)
        rows = table.at(partition)

        def row(key: bytes) -> object:
            raw = rows.raw(key)
            return None if raw is None else typed(raw)

        return Source(row, 0 if use.held == "global" else table.partition_count)
