"""What came out of the demo: joined orders, counted in the topics that they were published into.

Reads the output topics, as any reader of committed records would: their ends count markers of transactions too.
Knows nothing of workers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.admin import Cluster
from larder.kafka.batch_consumer import fetch
from larder.kafka.clients import new_consumer
from tables import shop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

OUTPUTS = (shop.enriched_orders.name, shop.fulfilments.name)

PATIENCE_SECONDS = 0.2
MOST_AT_A_TIME = 50_000


class Outputs:
    """The output topics since this was entered; a context manager."""

    def __init__(self, connection: Connection) -> None:
        """Prepare; nothing is asked."""
        self._cluster = Cluster(connection)
        self._consumer = new_consumer(connection)
        self._positions: dict[TopicPartition, int] = {}
        self._counts = dict.fromkeys(OUTPUTS, 0)

    async def __aenter__(self) -> Self:
        """Remember where the topics end now."""
        await self._cluster.__aenter__()
        try:
            await self._consumer.start()
        except BaseException:
            await self._cluster.__aexit__(None, None, None)
            raise
        places = await self._new_places()
        await self._read_from(await self._consumer.end_offsets(places) if places else {})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the conversation."""
        await self._consumer.stop()
        await self._cluster.__aexit__(kind, error, trace)

    async def counts(self) -> dict[str, int]:
        """Give how many records came into each output topic; a topic that is not there yet has none."""
        await self._read_from(dict.fromkeys(await self._new_places(), 0))
        ends = await self._consumer.end_offsets(list(self._positions)) if self._positions else {}
        while any(self._positions[place] < end for place, end in ends.items()):
            fetched = await fetch(self._consumer, self._positions.keys(), PATIENCE_SECONDS, MOST_AT_A_TIME)
            for batch in fetched.batches:
                self._counts[batch.tp.topic] += len(batch.records)
                self._positions[batch.tp] = batch.position
        return dict(self._counts)

    async def _new_places(self) -> list[TopicPartition]:
        missing = set(OUTPUTS) - {place.topic for place in self._positions}
        facts = await self._cluster.facts(missing) if missing else {}
        return [TopicPartition(name, each) for name, known in facts.items() for each in range(known.partitions)]

    async def _read_from(self, positions: Mapping[TopicPartition, int]) -> None:
        if positions:
            self._positions |= positions
            self._consumer.assign(list(self._positions))
            for place, position in self._positions.items():
                self._consumer.seek(place, position)


@dataclass
class DemoOutcome:
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
