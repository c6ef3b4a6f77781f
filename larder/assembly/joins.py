"""Joins in a worker: planned, and built with their tables and the room of what waits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from larder.assembly.context import PartitionContext
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
from larder.kafka.batch_consumer import SeenEnd
from larder.local_tables.misplaced import OrderPlaces
from larder.local_tables.table import LocalTable
from larder.operators.joins.join import Joining
from larder.operators.joins.row_results import row_results
from larder.operators.joins.waiting_records import waiting_topic
from larder.operators.joins.waiting_room import WaitingRoom
from larder.store.applying.row_checks import RowChecks


@dataclass(frozen=True)
class WaitPlan:
    """How long orders wait, and the topic that they wait in: as a table, and as an output."""

    wait: Wait
    topic: OwnerTopic
    output: Output


@dataclass(frozen=True)
class JoinPlan(OperatorPlan):
    """A join, the topic it reads and the one it writes; `waiting` if its orders may wait.

    Results that come from several partitions come together in `gathered`, which is an input again.
    """

    operator: Join
    compiled: CompiledJoin
    inputs: tuple[str, ...]
    output: Output
    waiting: WaitPlan | None
    gathered: Output | None

    @property
    def kept(self) -> Collection[str]:
        """The table of what waits."""
        return () if self.waiting is None else (self.waiting.topic.name,)

    def internal(self) -> Iterator[OwnerTopic]:
        """The table of what waits, and that of its results where these come together."""
        if self.waiting is not None:
            yield self.waiting.topic
        if self.gathered is not None:
            yield cast("OwnerTopic", self.operator.into)

    def placed(self, name: str, partitioned: Collection[str]) -> Iterator[str]:  # noqa: ARG002 - as all plans
        """Its source, its co-partitioned tables, and what waits."""
        if self.operator.placed:
            yield name
            yield from (table.name for table in self.operator.uses() if table.held == "partition")
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
def _build(plan: JoinPlan, at: PartitionContext) -> Joining:
    join, tables = plan.operator, [at.tables[table.name] for table in plan.operator.uses()]
    output = plan.gathered or plan.output
    joining = Joining(
        plan.compiled,
        [table.rows(at.tp.partition) for table in tables],
        output,
        at.delivery,
        at.dead_letters(plan.step),
        at.counts.of(join, QualityOfJoin).of(at.tp.partition),
    )
    joining.results = row_results(join, output, at.delivery)
    if isinstance(source := events_of(join.source), OwnerTopic):
        joining.checks = RowChecks(source)
    joining.places = OrderPlaces(at.tp.partition, join.lookups, [table.partition_count for table in tables])
    if plan.waiting is not None:
        joining.room = _room(plan.waiting, joining, tables, at, by_row_key=isinstance(source, OwnerTopic))
    return joining


def _room(
    plan: WaitPlan, joining: Joining, tables: Sequence[LocalTable], at: PartitionContext, *, by_row_key: bool
) -> WaitingRoom:
    states = at.shared.plan.states_of(at.tp.topic)
    room = WaitingRoom(
        at.tp,
        joining,
        plan.wait,
        at.owned(plan.output),
        [_Partner(table, at.tp.partition, state=table.topic.name in states) for table in tables],
        at.delivery,
        at.shared.clock,
        by_row_key=by_row_key,
    )
    for lookup, table in enumerate(tables):
        table.listen(partial(room.came, lookup))
    at.shared.rooms.setdefault(at.tp, []).append(room)
    return room


class _Partner:
    """A table as the orders of one input partition see it; `state`: a decide of this service decides on it."""

    def __init__(self, table: LocalTable, partition: int, *, state: bool) -> None:
        self._table = table
        self._partition = partition
        self._state = state

    def caught_up(self) -> bool:
        """Also that the rows of a state can be read."""
        readable = not (self._state and self._table.unreadable(self._partition))
        return readable and self._table.caught_up(self._partition)

    def ends(self) -> Mapping[int, SeenEnd]:
        return self._table.ends(self._partition)

    def has_passed(self, ends: Mapping[int, SeenEnd]) -> bool:
        return self._table.has_passed(ends)
