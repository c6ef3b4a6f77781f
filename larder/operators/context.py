"""What handlers and operators are built with: one partition of an assignment, and what there is for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.counters.operator_counts import Results
from larder.declaring.operators import Operator
from larder.delivery.dead_letters import DeadLetters
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.owned_rows import OwnedRows


@dataclass(frozen=True)
class PartitionContext:
    """One partition of a service's topics, for one `step` of what is declared on it.

    `tables` has all tables of the service, by topic; `letters` is the topic of its dead letters. `generation` is that
    of the group, as this worker is a member of it. `clock` gives seconds since the epoch.
    """

    tp: TopicPartition
    service: str
    tables: Mapping[str, LocalTable]
    counts: Counts
    delivery: Delivery
    letters: Output
    generation: int
    clock: Callable[[], float]
    step: str = ""

    def of(self, tp: TopicPartition) -> Self:
        """Give the same for another partition."""
        return replace(self, tp=tp)

    def for_step(self, step: str) -> Self:
        """Give the same for a step, by the name that dead letters call it."""
        return replace(self, step=step)

    @property
    def table(self) -> LocalTable:
        """The table whose topic this is."""
        return self.tables[self.tp.topic]

    def dead_letters(self) -> DeadLetters:
        """Give where records go that the step could not handle."""
        causes = self.counts.causes.of(self.tp.topic)
        return DeadLetters(self.service, self.tp, self.letters, self.delivery, causes, self.step)

    def owned(self, output: Output) -> OwnedRows:
        """Give this partition of a table that the service owns."""
        table = self.tables[output.topic].at(self.tp.partition)
        return OwnedRows(table, output, self.delivery, self.generation)

    def results(self, operator: Operator) -> Results:
        """Give what an operator counts whose kind has no form of its own: records by result, in one word each."""
        return self.counts.of(operator, Results)
