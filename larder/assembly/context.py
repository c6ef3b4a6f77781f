"""What an operator is built with, for one partition of an input in one assignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.counters.operator_counts import Results
from larder.declaring.operators import Operator
from larder.delivery.dead_letters import Parking
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.joins.waiting import Waiting
from larder.operators.owned_rows import OwnedRows

if TYPE_CHECKING:
    from larder.assembly.decides import DecideParts
    from larder.assembly.plan import ServicePlan


@dataclass
class Shared:
    """What all partitions of an assignment have together; `waiting` has who waits, by the partition of the input."""

    plan: ServicePlan
    tables: Mapping[str, LocalTable]
    counts: Counts
    generation: int
    delivery: Delivery
    clock: Callable[[], float]
    waiting: dict[TopicPartition, list[Waiting]] = field(default_factory=dict)

    def owned(self, output: Output, partition: int) -> OwnedRows:
        """Give a partition of a table that this service owns."""
        return OwnedRows(self.tables[output.topic].at(partition), output, self.delivery, self.generation)

    def dead_letters(self, tp: TopicPartition, step: str = "") -> Parking:
        """Give where records of a partition go that a step could not handle."""
        causes = self.counts.causes.of(tp.topic)
        return Parking(self.plan.service.name, tp, self.plan.dead_letters, self.delivery, causes, step)


@dataclass(frozen=True)
class PartitionContext:
    """One partition of an input, and what there is for it."""

    tp: TopicPartition
    shared: Shared
    decides: DecideParts

    @property
    def tables(self) -> Mapping[str, LocalTable]:
        """The tables of the service, by topic."""
        return self.shared.tables

    @property
    def counts(self) -> Counts:
        """What became of records."""
        return self.shared.counts

    @property
    def delivery(self) -> Delivery:
        """Where outputs go now."""
        return self.shared.delivery

    def results(self, operator: Operator) -> Results:
        """Give what an operator counts whose kind has no form of its own: records by result, in one word each."""
        return self.counts.of(operator, Results)

    def output(self, name: str) -> Output:
        """Give a topic of the service as it is written."""
        return self.shared.plan.outputs[name]

    def owned(self, output: Output) -> OwnedRows:
        """Give this partition of a table that this service owns."""
        return self.shared.owned(output, self.tp.partition)

    def dead_letters(self, step: str = "") -> Parking:
        """Give where records go that a step could not handle."""
        return self.shared.dead_letters(self.tp, step)
