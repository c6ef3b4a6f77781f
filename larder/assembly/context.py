"""The contexts from which lanes are built: one assignment, and one input partition in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.declaring.compiled.calls import CompiledCall
from larder.declaring.problems import Problem
from larder.delivery.delivery import Delivery
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.calls.calls import PartitionCalls
from larder.operators.calls.outside import Outside
from larder.operators.context import PartitionContext
from larder.operators.copying import Cursor
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun
from larder.operators.user_agents import Feed

if TYPE_CHECKING:
    from larder.assembly.decides import DecideParts
    from larder.assembly.placement import Placement
    from larder.assembly.plan import ServicePlan
    from larder.processing.loop import Chore


def _nothing_outside(compiled: CompiledCall, _: Output) -> Outside:
    message = f"no worker that makes the calls of {compiled.call.name}"
    raise LookupError(message)


@dataclass(frozen=True)
class Assignment:
    """What all partitions of an assignment share; `generation` is the group's, `epoch` this assignment's.

    `begun` has the offset at which reacting to a partition begins. `waiting` collects the joins that were built and
    whose records wait for rows, by input partition; `calls` the calls, by name and by the partitions of
    their events and outcomes.
    `ends` are those of the topics, whose ids are `topic_ids`, when the partitions were assigned. `outside` returns what
    runs a call in this worker.

    For a service that is scaled: `copied` has how far partitions are copied into the next generation, `begins` the
    offset from which each input is processed, and `floors` the one up to which an earlier generation has processed it.
    `is_new` says whether a partition of a source that others have grown has to wait, `unfit` why it can never be
    processed. `driver` writes how far the growth has come.

    `worker` is the name of this worker, for the records that have a trace.
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
    copied: Mapping[TopicPartition, Cursor] = field(default_factory=dict)
    begins: Mapping[TopicPartition, int] = field(default_factory=dict)
    floors: Mapping[TopicPartition, int] = field(default_factory=dict)
    is_new: Callable[[TopicPartition], bool] = lambda _: False
    unfit: Mapping[TopicPartition, Problem] = field(default_factory=dict)
    driver: Chore | None = None
    worker: str = ""
    ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    outside: Callable[[CompiledCall, Output], Outside] = field(default=_nothing_outside)
    calls: dict[tuple[str, TopicPartition], PartitionCalls] = field(default_factory=dict)
    waiting: dict[TopicPartition, list[Waiting]] = field(default_factory=dict)

    def of(self, topics: Collection[str]) -> list[TopicPartition]:
        """Return the assigned partitions of these topics, in order."""
        return sorted(tp for tp in self.assigned if tp.topic in topics)

    def heads(self, topic: str) -> Sequence[int] | None:
        """Return the end of what was copied into each partition of an input before this generation began."""
        generation = self.plan.service.generation
        return None if generation is None else generation.heads.get(topic)

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
            "carrying": self.plan.carrying(self.worker),
        }


@dataclass(frozen=True)
class InputContext(PartitionContext):
    """The context of one input partition; `decides` has the parts that decides share between inputs."""

    assignment: Assignment = field(kw_only=True)
    decides: DecideParts = field(kw_only=True)

    def output(self, name: str) -> Output:
        """Return a topic of the service as an output."""
        return self.assignment.plan.outputs[name]
