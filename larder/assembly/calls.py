"""Calls in a worker: their plans, and how they are built for a partition of their events and of their outcomes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from larder.assembly.context import InputContext
from larder.assembly.operator_plan import KnownFacts, OperatorPlan, build, output_of, plan_operator
from larder.declaring.calls import Call
from larder.declaring.compiled.calls import CompiledCall, compile_call
from larder.declaring.facts import input_name
from larder.declaring.service import Service
from larder.declaring.stored_calls import calls_name, calls_topic, outcomes_name
from larder.declaring.topics import OwnerTopic
from larder.delivery.output import Output
from larder.operators.calls.calls import CallStep, OutcomeStep, PartitionCalls


@dataclass(frozen=True)
class CallPlan(OperatorPlan):
    """A call, with the topics of its events and its outcomes as inputs, the table of its calls, and its results."""

    operator: Call
    compiled: CompiledCall
    inputs: tuple[str, ...]
    calls: Output
    outcomes: Output
    outputs: tuple[Output, ...]

    @property
    def kept(self) -> Collection[str]:
        """The table of calls that are not done."""
        return (self.calls.topic,)

    @property
    def passed_through(self) -> Collection[str]:
        """The outcomes, which nobody else reads."""
        return (self.outcomes.topic,)

    def internal(self) -> Iterator[OwnerTopic]:
        """Yield the table of calls that are not done."""
        yield calls_topic(self.calls.topic, self.calls.partitions)

    def placed(self, name: str, partitioned: Collection[str]) -> Iterator[str]:  # noqa: ARG002 - as all plans
        """Yield the events or the outcomes, the calls, and the table of `only_while` if it is co-partitioned."""
        yield from (name, self.calls.topic)
        yield from (table.read_from.name for table in self.operator.uses() if table.held == "partition")


@plan_operator.register
def _plan(call: Call, service: Service, facts: KnownFacts) -> CallPlan:
    name, generation = call.name, call.generation
    outcomes = outcomes_name(service.name, name, generation)
    return CallPlan(
        call,
        compile_call(call),
        (input_name(service, call.source), outcomes),
        output_of(calls_name(service.name, name, generation), facts),
        output_of(outcomes, facts),
        tuple(output_of(topic.name, facts) for topic in call.into),
    )


@build.register
def _build(plan: CallPlan, at: InputContext) -> CallStep | OutcomeStep:
    calls = _calls(plan, at)
    of_outcomes = at.tp.topic == plan.outcomes.topic
    return (OutcomeStep if of_outcomes else CallStep)(calls, at.dead_letters())


def _calls(plan: CallPlan, at: InputContext) -> PartitionCalls:
    """Return the calls of a partition, which the lanes of events and of outcomes share."""
    shared, name, partition = at.assignment.calls, plan.operator.name, at.tp.partition
    if (name, at.tp) not in shared:
        events, outcomes = (TopicPartition(topic, partition) for topic in plan.inputs)
        shared[name, events] = shared[name, outcomes] = _new(plan, at, events, outcomes)
    return shared[name, at.tp]


def _new(plan: CallPlan, at: InputContext, events: TopicPartition, outcomes: TopicPartition) -> PartitionCalls:
    assignment, delivery = at.assignment, at.delivery
    end = assignment.ends.get(outcomes, 0)
    tables = [at.tables[table.read_from.name] for table in plan.operator.uses()]
    rows = [table.at(at.tp.partition) for table in tables]
    calls = PartitionCalls(
        at.of(events),
        plan.compiled,
        at.owned(plan.calls),
        {each.topic: each for each in plan.outputs},
        plan.outcomes,
        assignment.outside(plan.compiled, plan.outcomes),
        lambda: delivery.position(outcomes) >= end,
        rows[0].raw if rows else lambda _: None,
        assignment.topic_ids[events.topic],
    )
    for table in tables:
        table.changes.listen(calls.rows_changed)
    return calls
