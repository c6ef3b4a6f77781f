"""The outcome of the demo: the number of records in its output topics.

Reads the topics, as any reader of committed records would. Their end offsets do not give the number of records, since
they also count transaction markers. Knows nothing of workers.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiokafka.structs import TopicPartition

from larder.kafka.admin import Cluster
from larder.kafka.batch_consumer import fetch
from larder.kafka.readers import reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from larder.config.connection import Connection
    from larder.demo.declared import Demo
    from larder.kafka.batch_consumer import BatchConsumer

PATIENCE_SECONDS = 0.2
MOST_AT_A_TIME = 50_000


@asynccontextmanager
async def counted_outputs(connection: Connection, topics: Iterable[str]) -> AsyncIterator[Outputs]:
    """Count the records that are published into topics from now on. Raise KafkaError or OSError."""
    async with Cluster(connection) as cluster, reader(connection) as consumer:
        outputs = Outputs(cluster, consumer, topics)
        await outputs.begin()
        yield outputs


class Outputs:
    """The records in some topics since `begin`."""

    def __init__(self, cluster: Cluster, consumer: BatchConsumer, topics: Iterable[str]) -> None:
        """Create it without reading anything."""
        self._cluster = cluster
        self._consumer = consumer
        self._positions: dict[TopicPartition, int] = {}
        self._counts = dict.fromkeys(topics, 0)

    async def begin(self) -> None:
        """Remember the current ends of the topics."""
        places = await self._new_places()
        await self._read_from(await self._consumer.end_offsets(places) if places else {})

    async def counts(self) -> dict[str, int]:
        """Return the number of new records in each output topic; 0 for a topic that does not exist yet."""
        await self._read_from(dict.fromkeys(await self._new_places(), 0))
        ends = await self._consumer.end_offsets(list(self._positions)) if self._positions else {}
        while any(self._positions[place] < end for place, end in ends.items()):
            fetched = await fetch(self._consumer, self._positions.keys(), PATIENCE_SECONDS, MOST_AT_A_TIME)
            for batch in fetched.batches:
                self._counts[batch.tp.topic] += len(batch.records)
                self._positions[batch.tp] = batch.position
        return dict(self._counts)

    async def _new_places(self) -> list[TopicPartition]:
        missing = set(self._counts) - {place.topic for place in self._positions}
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
    """The report at the end of a demo.

    `first_out` and `last_out` are in seconds since the command started. `interrupted`: it was stopped early.
    """

    demo: Demo
    published: int = 0
    missing: int = 0
    waiting: int = 0
    outputs: Mapping[str, int] = field(default_factory=dict)
    first_out: float | None = None
    last_out: float | None = None
    interrupted: bool = False

    @property
    def word(self) -> str:
        """The word for the first outcome of an event."""
        return next(iter(self.demo.outputs))

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of output records, by the word for their outcome."""
        return {word: self.outputs.get(topic.name, 0) for word, topic in self.demo.outputs.items()}

    @property
    def came_out(self) -> int:
        """The number of records in the first output."""
        return self.counts[self.word]

    @property
    def per_second(self) -> float:
        """The rate of output records, from the first to the last observation."""
        if self.first_out is None or self.last_out is None or self.last_out <= self.first_out:
            return 0.0
        return self.came_out / (self.last_out - self.first_out)

    def observe(self, outputs: Mapping[str, int], now: float) -> None:
        """Record the counts at one moment, by topic."""
        before = self.came_out
        self.outputs = outputs
        if self.came_out > before:
            self.last_out = now
            if self.first_out is None:
                self.first_out = now

    def in_words(self) -> str:
        """Return the report in one line for people."""
        counts = ", ".join(f"{count:,} {word}" for word, count in self.counts.items())
        return (
            f"{self.published:,} {self.demo.noun} published, {counts}; "
            f"{self.missing:,} missed a row at first, {self.waiting:,} still wait"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the report for scripts."""
        return {
            "workers": sum(self.demo.workers.values()),
            self.demo.noun: self.published,
            **self.counts,
            "missing": self.missing,
            "waiting": self.waiting,
            "per_second": round(self.per_second, 1),
            "seconds_to_first_joined": None if self.first_out is None else round(self.first_out, 2),
        }
