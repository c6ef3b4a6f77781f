"""A join on one partition, built as in a worker, with tables and a delivery from the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from larder.counters.join_quality import JoinCounts, JoinQuality
from larder.declaring.compiled.joins import CompiledJoin
from larder.declaring.records import Record
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic
from larder.delivery.output import Output
from larder.local_tables.misplaced import RecordPlaces
from larder.operators.context import PartitionContext
from larder.operators.joins.decisions import JoinRule
from larder.operators.joins.join import JoinStep
from larder.operators.joins.lookups import Lookups, RowSource
from larder.operators.joins.outcomes import Outcomes
from larder.operators.joins.row_results import row_results
from larder.operators.joins.waiting import Waiting
from larder.operators.joins.waiting_room import WaitingRoom
from larder.store.applying.row_checks import RowChecks


@dataclass
class BuiltJoin:
    """The step, with the parts that tests inspect."""

    step: JoinStep
    rule: JoinRule
    quality: JoinQuality
    waiting: Waiting | None

    @property
    def counts(self) -> JoinCounts:
        return self.quality.counts

    def process(self, records: Sequence[Record]) -> None:
        self.step.process(records)

    def busy(self) -> bool:
        return self.step.busy()


def built(
    compiled: CompiledJoin, tables: Sequence[RowSource], output: Output, at: PartitionContext,
    quality: JoinQuality | None = None, places: RecordPlaces | None = None, room: WaitingRoom | None = None,
) -> BuiltJoin:  # fmt: skip
    """Build a join. `places` is for co-partitioned tables; in `room`, records without a partner wait."""
    join = compiled.join
    source: Any = events_of(join.source)
    results = row_results(join)
    checks = RowChecks(source) if isinstance(source, OwnerTopic) else None
    lookups = Lookups(compiled, tables)
    rule = JoinRule(compiled, places or RecordPlaces(0, join.lookups, [0] * len(tables)), checks, results)
    quality = quality or JoinQuality()
    outcomes = Outcomes(compiled, output, at, quality, results)
    waiting = None if room is None else Waiting(room, lookups, rule, outcomes)
    return BuiltJoin(JoinStep(lookups, rule, outcomes, waiting), rule, quality, waiting)
