"""The contexts from which lanes are built: one assignment, and one input partition in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.context import PartitionContext
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun
from larder.operators.user_agents import Feed

if TYPE_CHECKING:
    from larder.assembly.decides import DecideParts
    from larder.assembly.placement import Placement
    from larder.assembly.plan import ServicePlan


@dataclass(frozen=True)
class Assignment:
    """What all partitions of an assignment share; `generation` is the group's, `epoch` this assignment's.

    `begun` has the offset at which reacting to a partition begins. `waiting` collects the joins that were built and
    whose records wait for rows, by input partition.
    """

    plan: ServicePlan
    assigned: frozenset[TopicPartition]
    tables: Mapping[str, LocalTable]
    counts: Counts
    feeds: Mapping[str, Feed]
    begun: Mapping[TopicPartition, Begun]
    generation: int
    delivery: Delivery
    epoch: Callable[[], int]
    clock: Callable[[], float]
    placement: Placement
    partition_counts: Mapping[str, int]
    waiting: dict[TopicPartition, list[Waiting]] = field(default_factory=dict)

    def of(self, topics: Collection[str]) -> list[TopicPartition]:
        """Return the assigned partitions of these topics, in order."""
        return sorted(tp for tp in self.assigned if tp.topic in topics)

    def at(self, tp: TopicPartition) -> PartitionContext:
        """Return the context of one partition."""
        return PartitionContext(tp, **self._shared)

    def input(self, tp: TopicPartition, decides: DecideParts) -> InputContext:
        """Return the context in which the operators of an input partition are built."""
        return InputContext(tp, **self._shared, assignment=self, decides=decides)

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "service": self.plan.service.name,
            "tables": self.tables,
            "counts": self.counts,
            "delivery": self.delivery,
            "letters": self.plan.dead_letters,
            "generation": self.generation,
            "clock": self.clock,
        }


@dataclass(frozen=True)
class InputContext(PartitionContext):
    """The context of one input partition; `decides` has the parts that decides share between inputs."""

    assignment: Assignment = field(kw_only=True)
    decides: DecideParts = field(kw_only=True)

    def output(self, name: str) -> Output:
        """Return a topic of the service as an output."""
        return self.assignment.plan.outputs[name]
