"""What came out of the demo: joined orders, counted in the topics that they were published into.

Looks at the ends of the output topics, as any reader of committed records would. Knows nothing of workers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from agents.engine.cluster import Cluster
from tables import shop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

OUTPUTS = (shop.enriched_orders.name, shop.fulfilments.name)


class Outputs:
    """The output topics since this was entered; a context manager."""

    def __init__(self, bootstrap: str) -> None:
        """Prepare; nothing is asked."""
        self._cluster = Cluster(bootstrap)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, isolation_level="read_committed"
        )
        self._partitions: dict[str, int] = {}
        self._before: Mapping[str, int] = {}

    async def __aenter__(self) -> Self:
        """Remember where the topics end now."""
        await self._cluster.__aenter__()
        try:
            await self._consumer.start()
        except BaseException:
            await self._cluster.__aexit__(None, None, None)
            raise
        self._before = await self._ends()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the conversation."""
        await self._consumer.stop()
        await self._cluster.__aexit__(kind, error, trace)

    async def counts(self) -> dict[str, int]:
        """Give how many records came into each output topic; a topic that is not there yet has none."""
        ends = await self._ends()
        return {name: ends.get(name, 0) - self._before.get(name, 0) for name in OUTPUTS}

    async def _ends(self) -> dict[str, int]:
        missing = [name for name in OUTPUTS if name not in self._partitions]
        if missing:
            facts = await self._cluster.facts(missing)
            self._partitions |= {name: known.partitions for name, known in facts.items() if known}
        places = [TopicPartition(name, each) for name, count in self._partitions.items() for each in range(count)]
        ends = await self._consumer.end_offsets(places) if places else {}
        return {name: sum(end for place, end in ends.items() if place.topic == name) for name in self._partitions}


@dataclass
class Outcome:
    """What is told at the end. Times in seconds; `first_joined` and `last_joined` since the command's start.

    `interrupted`: somebody ended it before its time.
    """

    workers: int
    orders: int = 0
    missing: int = 0
    waiting: int = 0
    outputs: dict[str, int] = field(default_factory=dict)
    first_joined: float | None = None
    last_joined: float | None = None
    interrupted: bool = False

    @property
    def enriched(self) -> int:
        """How many orders were joined with their customer and their product."""
        return self.outputs.get(shop.enriched_orders.name, 0)

    @property
    def per_second(self) -> float:
        """The rate at which they came out, from the first to the last one seen."""
        if self.first_joined is None or self.last_joined is None or self.last_joined <= self.first_joined:
            return 0.0
        return self.enriched / (self.last_joined - self.first_joined)

    def saw(self, outputs: dict[str, int], now: float) -> None:
        """Take the counts of a moment."""
        before = self.enriched
        self.outputs = outputs
        if self.enriched > before:
            self.last_joined = now
            if self.first_joined is None:
                self.first_joined = now

    @property
    def fulfilled(self) -> int:
        """How many orders went through the co-partitioned join, with their customer or without."""
        return self.outputs.get(shop.fulfilments.name, 0)

    def told(self) -> str:
        """Give the whole in one line for people."""
        return (
            f"{self.orders:,} orders published, {self.enriched:,} enriched, {self.fulfilled:,} fulfilled; "
            f"{self.missing:,} missed a row at first, {self.waiting:,} still wait"
        )

    def as_dict(self) -> dict[str, object]:
        """Give all of it by the names that scripts know."""
        return {
            "workers": self.workers,
            "orders": self.orders,
            "enriched": self.enriched,
            "fulfilled": self.fulfilled,
            "missing": self.missing,
            "waiting": self.waiting,
            "per_second": round(self.per_second, 1),
            "seconds_to_first_joined": None if self.first_joined is None else round(self.first_joined, 2),
        }
