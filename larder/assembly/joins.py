"""Joins in a worker: their plans, and how they are built with their tables and waiting rooms."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from larder.assembly.context import InputContext
from larder.assembly.operator_plan import KnownFacts, OperatorPlan, build, output_of, plan_operator
from larder.counters.join_quality import QualityOfJoin
from larder.declaring.compiled.joins import CompiledJoin, compile_join
from larder.declaring.facts import input_name, joined_name, waiting_name
from larder.declaring.joins import Join
from larder.declaring.missing import Wait
from larder.declaring.service import Service
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic
from larder.delivery.output import Output
from larder.local_tables.misplaced import RecordPlaces
from larder.local_tables.table import LocalTable
from larder.operators.joins.decisions import JoinRule
from larder.operators.joins.join import JoinStep
from larder.operators.joins.lookups import Lookups
from larder.operators.joins.outcomes import Outcomes
from larder.operators.joins.row_results import row_results
from larder.operators.joins.waiting import Waiting
from larder.operators.joins.waiting_records import waiting_topic
from larder.operators.joins.waiting_room import WaitingRoom
from larder.store.applying.row_checks import RowChecks


@dataclass(frozen=True)
class WaitPlan:
    """How long records wait, and their waiting topic, as a table and as an output."""

    wait: Wait
    topic: OwnerTopic
    output: Output


@dataclass(frozen=True)
class JoinPlan(OperatorPlan):
    """A join, the topic it reads and the one it writes; `waiting` is set if its records may wait.

    Results from several partitions are gathered in the topic `gathered`, which is itself an input.
    """

    operator: Join
    compiled: CompiledJoin
    inputs: tuple[str, ...]
    output: Output
    waiting: WaitPlan | None
    gathered: Output | None

    @property
    def kept(self) -> Collection[str]:
        """The table of waiting records."""
        return () if self.waiting is None else (self.waiting.topic.name,)

    def internal(self) -> Iterator[OwnerTopic]:
        """Yield the table of waiting records, and the table of gathered results."""
        if self.waiting is not None:
            yield self.waiting.topic
        if self.gathered is not None:
            yield cast("OwnerTopic", self.operator.into)

    def placed(self, name: str, partitioned: Collection[str]) -> Iterator[str]:  # noqa: ARG002 - as all plans
        """Yield the source, the co-partitioned tables and the waiting topic."""
        if self.operator.placed:
            yield name
            yield from (table.read_from.name for table in self.operator.uses() if table.held == "partition")
            yield from self.kept
        if self.gathered is not None:
            yield from (name, self.gathered.topic)


@plan_operator.register
def _plan(join: Join, service: Service, facts: KnownFacts) -> JoinPlan:
    reads = input_name(service, join.source)
    return JoinPlan(
        join,
        compile_join(join),
        (reads,),
        output_of(join.into.name, facts),
        _wait_plan(service, join, reads, facts),
        output_of(joined_name(service.name, join), facts) if join.gathers else None,
    )


def _wait_plan(service: Service, join: Join, reads: str, facts: KnownFacts) -> WaitPlan | None:
    if join.wait is None:
        return None
    name = waiting_name(service.name, join)
    return WaitPlan(join.wait, waiting_topic(name, facts[reads].partitions), output_of(name, facts))


@build.register
def _build(plan: JoinPlan, at: InputContext) -> JoinStep:
    join, partition = plan.operator, at.tp.partition
    tables = [at.tables[table.read_from.name] for table in join.uses()]
    places = RecordPlaces(partition, join.lookups, [table.partition_count for table in tables])
    source, results = events_of(join.source), row_results(join)
    checks = RowChecks(source) if isinstance(source, OwnerTopic) else None
    lookups = Lookups(plan.compiled, [table.at(partition) for table in tables])
    rule = JoinRule(plan.compiled, places, checks, results)
    outcomes = Outcomes(
        plan.compiled,
        plan.gathered or plan.output,
        at,
        at.counts.of(join, QualityOfJoin).of(partition),
        results,
    )
    if plan.waiting is None:
        return JoinStep(lookups, rule, outcomes)
    waiting = Waiting(_room(plan, plan.waiting, tables, at), lookups, rule, outcomes)
    for lookup, table in enumerate(tables):
        table.changes.listen(partial(waiting.rows_changed, lookup))
    at.assignment.waiting.setdefault(at.tp, []).append(waiting)
    return JoinStep(lookups, rule, outcomes, waiting)


def _room(plan: JoinPlan, waits: WaitPlan, tables: Sequence[LocalTable], at: InputContext) -> WaitingRoom:
    return WaitingRoom(
        at,
        waits.wait,
        at.owned(waits.output),
        [table.at(at.tp.partition) for table in tables],
        by_row_key=isinstance(events_of(plan.operator.source), OwnerTopic),
    )
