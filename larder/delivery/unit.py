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
    """A batch that is ready to be sent; `alone` is its only record, where it must have no other."""

    place: Place
    batch: BatchBuilder
    alone: SentRecord | None = None


@dataclass
class Unit:
    """Input offsets, the outputs that must be acknowledged before they are committed, and what follows.

    Outputs are collected in a `filling` batch for each partition, and wait in `full` until they are sent. Then
    `acknowledgements` has their results: `alone` those of records that were sent in a batch of their own, `last` that
    of the last batch of each partition with its number of records. `records` counts what was sent to each.
    """

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    filling: dict[Place, BatchBuilder] = field(default_factory=dict)
    full: deque[FullBatch] = field(default_factory=deque)
    acknowledgements: list[asyncio.Future[RecordMetadata]] = field(default_factory=list)
    alone: dict[asyncio.Future[RecordMetadata], SentRecord] = field(default_factory=dict)
    last: dict[Place, tuple[asyncio.Future[RecordMetadata], int]] = field(default_factory=dict)
    records: Counter[Place] = field(default_factory=Counter)
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """A unit whose outputs are sent has nothing to be settled."""
        return not (self.offsets or self.acknowledgements or self.afterwards)

    def seal(self) -> None:
        """Let what is left be sent, full or not."""
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
        """Give the offset after the last record of a settled unit in a partition.

        None where it has none, or the broker has said only that it has the batch already.
        """
        acknowledgement, records = self.last.get((topic, partition), (None, 0))
        first = -1 if acknowledgement is None else acknowledgement.result().offset
        return None if first < 0 else first + records

    def refused_alone(self) -> dict[SentRecord, KafkaError]:
        """The records that are known to be refused, and with which error."""
        errors = {record: sent.exception() for sent, record in self.alone.items() if sent.done()}
        return {record: error for record, error in errors.items() if isinstance(error, REFUSED)}
