"""The contexts of handlers and operators, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiokafka.structs import TopicPartition

from larder.counters.counts import Counts
from larder.declaring.operators import Operator
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.context import PartitionContext
from tests.larder.operators.memory_delivery import MemoryDelivery


def context(
    tp: TopicPartition, delivery: MemoryDelivery, letters: Output, *tables: LocalTable,
    service: str = "s", operators: Iterable[Operator] = (), clock: Callable[[], float] = lambda: 0.0,
) -> PartitionContext:  # fmt: skip
    """Return the context of a partition in the first generation of a group; its dead letters go to `letters`."""
    held = {table.topic.name: table for table in tables}
    return PartitionContext(tp, service, held, Counts(operators), delivery.as_delivery(), letters, 1, clock)
