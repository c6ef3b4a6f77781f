"""A unit of delivery: the outputs of a stretch of processing, and the input offsets that they complete."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from larder.delivery.refused_records import REFUSED, SentRecord

Place = tuple[str, int]
"""A topic and one of its partitions."""


class FullBatch(NamedTuple):
    """A batch that is ready to be sent; `alone` is its only record if it must be sent on its own."""

    place: Place
    batch: BatchBuilder
    alone: SentRecord | None = None


@dataclass
class Unit:
    """Input offsets, the outputs that must be acknowledged before they are committed, and calls to make `afterwards`.

    Outputs are collected in a `filling` batch for each partition, and wait in `full` until they are sent. Then
    `acknowledgements` has the results of all batches, `alone` those of records that were sent in their own batches, and
    `last` that of each partition's last batch, with its record count. `records` counts the records by partition.
    `awaited` says that a client waits for the commit.
    """

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    filling: dict[Place, BatchBuilder] = field(default_factory=dict)
    full: deque[FullBatch] = field(default_factory=deque)
    acknowledgements: list[asyncio.Future[RecordMetadata]] = field(default_factory=list)
    alone: dict[asyncio.Future[RecordMetadata], SentRecord] = field(default_factory=dict)
    last: dict[Place, tuple[asyncio.Future[RecordMetadata], int]] = field(default_factory=dict)
    records: Counter[Place] = field(default_factory=Counter)
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    awaited: bool = False

    @property
    def commits(self) -> bool:
        """Whether a unit whose outputs are sent commits something at the broker."""
        return bool(self.offsets or self.acknowledgements)

    @property
    def empty(self) -> bool:
        """Whether a unit whose outputs are sent has nothing to settle."""
        return not (self.commits or self.afterwards)

    def seal(self) -> None:
        """Make the remaining batches ready to be sent, full or not."""
        self.full += [FullBatch(place, batch) for place, batch in self.filling.items() if batch.record_count()]
        self.filling = {}

    def sent(self, acknowledgement: asyncio.Future[RecordMetadata]) -> None:
        """Note that the producer has taken the first of the full batches."""
        place, batch, alone = self.full.popleft()
        self.acknowledgements.append(acknowledgement)
        self.last[place] = acknowledgement, batch.record_count()
        self.records[place] += batch.record_count()
        if alone is not None:
            self.alone[acknowledgement] = alone

    def end(self, topic: str, partition: int) -> int | None:
        """Return the offset after the last record of a settled unit in a partition.

        Return None if it has no record there, or if the broker only reported that it already has the batch.
        """
        acknowledgement, records = self.last.get((topic, partition), (None, 0))
        first = -1 if acknowledgement is None else acknowledgement.result().offset
        return None if first < 0 else first + records

    def refused_alone(self) -> dict[SentRecord, KafkaError]:
        """Return the records that are known to be refused, with their errors."""
        errors = {record: sent.exception() for sent, record in self.alone.items() if sent.done()}
        return {record: error for record, error in errors.items() if isinstance(error, REFUSED)}
