"""The context with which handlers and operators are built: one partition of an assignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.counters.operator_counts import Results
from larder.declaring.operators import Operator
from larder.delivery.carried import TRACE_ONLY, CarriedHeaders, Carrying
from larder.delivery.dead_letters import DeadLetters
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.owned_rows import OwnedRows


@dataclass(frozen=True)
class PartitionContext:
    """One partition of a service's topics, for one `step` that is declared on it.

    `tables` has all tables of the service by topic; `letters` is the topic of its dead letters. `generation` is the
    group's generation in which the partition was assigned. `clock` returns seconds since the epoch. `carrying` says
    which headers go along.
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
    carrying: Carrying = TRACE_ONLY

    def of(self, tp: TopicPartition) -> Self:
        """Return the same context for another partition."""
        return replace(self, tp=tp)

    def for_step(self, step: str) -> Self:
        """Return the same context for a step, by its name in dead letters."""
        return replace(self, step=step)

    @property
    def table(self) -> LocalTable:
        """The table of this topic."""
        return self.tables[self.tp.topic]

    def dead_letters(self) -> DeadLetters:
        """Return the dead letters of records that the step cannot handle."""
        causes = self.counts.causes.of(self.tp.topic)
        return DeadLetters(self.service, self.tp, self.letters, self.delivery, causes, self.step)

    def owned(self, output: Output, public: Output | None = None, floor: int = 0) -> OwnedRows:
        """Return this partition of a table that the service owns: see `OwnedRows`."""
        table = self.tables[output.topic].at(self.tp.partition)
        return OwnedRows(table, output, self.delivery, self.generation, public, floor)

    def carried(self) -> CarriedHeaders:
        """What the records of the partition carry to what is made from them."""
        return CarriedHeaders(self.carrying, self.tp.topic, self.tp.partition, self.delivery.left_out, self.clock)

    def results(self, operator: Operator) -> Results:
        """Return the counts of an operator whose kind has no counts of its own: records by result, one word each."""
        return self.counts.of(operator, Results)
