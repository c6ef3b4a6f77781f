"""Outputs on their way to Kafka, and the input offsets that they complete.

A *unit* is a stretch of processing: the outputs of some input records and the offsets up to which those
records are wholly done. Outputs are sent while the unit is open; it is *settled* when every one of them
is acknowledged and only then are its offsets committed: in one transaction with the outputs, or after
them. One unit is open, at most one is settling. Knows neither tables nor Faust.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from larder.counters.traffic import Traffic
from larder.declaring.problems import Problem
from larder.delivery.refused_records import REFUSED, Refusals, SentRecord
from larder.kafka.partitioner import partitions_of
from larder.kafka.retrying import within

Headers = list[tuple[str, bytes | None]]

NO_HEADERS: Headers = []

BATCH_BYTES = 512 * 1024
"""Size of a producer batch: half of the broker's default limit for a message, which is one for a batch. That of a
topic which allows less is smaller, so that none is refused whole."""

HELD_BATCHES = 64
"""So many full batches may wait for the transaction before to end; then processing does."""

NO_COMPRESSION = 0
"""In the attributes of a record batch."""

ANSWER_SECONDS = 15.0
"""How long a step of a unit may take: the broker itself ends a transaction after ten. aiokafka may wait for ever."""

RECORD_OVERHEAD = 128
"""Upper bound of what the record batch format adds to one record's key and value, and to the list of its headers."""

HEADER_OVERHEAD = 10
"""Upper bound of what it adds to one header: the lengths of its name and its value."""


class NotAssignedError(KafkaError):
    """A task of before an assignment gives an offset of a partition that went: committed, it would move back.

    Joins, decides and agents of before give none, unless Larder itself is wrong.
    """

    def __init__(self, tp: TopicPartition, task: str) -> None:
        self.problem = Problem(
            f"an offset of topic {tp.topic} partition {tp.partition}",
            "requires a partition that this worker has now",
            f"one that went at an assignment; {task} of before it goes on",
            "nothing is lost, the offset is not committed; report it as a fault of Larder, with the log",
        )
        super().__init__(str(self.problem))

    def __str__(self) -> str:
        return str(self.problem)


class Output(NamedTuple):
    """A topic that is published to: its partition count and the largest record it takes, in bytes."""

    topic: str
    partitions: int
    max_bytes: int

    def takes(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> bool:
        return _size(key, value, headers) <= self.max_bytes

    def refusal(self, key: bytes | None, value: bytes | None, headers: Headers = NO_HEADERS) -> str:
        """Why `takes` is false, for the one who reads dead letters."""
        return (
            f"a record of {self.topic} requires at most {self.max_bytes} bytes; found"
            f" {_size(key, value, headers)}; raise max.message.bytes of the topic"
        )


@dataclass
class Unit:
    """Input offsets, the acknowledgements that must come before they are committed, and what follows.

    `alone` has the records that were sent in a batch of their own, by their acknowledgement; `last` the last batch
    of each partition, and how many records it has; `records` how many were sent to each.
    """

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    acknowledgements: list[asyncio.Future[RecordMetadata]] = field(default_factory=list)
    alone: dict[asyncio.Future[RecordMetadata], SentRecord] = field(default_factory=dict)
    last: dict[tuple[str, int], tuple[asyncio.Future[RecordMetadata], int]] = field(default_factory=dict)
    records: Counter[tuple[str, int]] = field(default_factory=Counter)
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.offsets or self.acknowledgements or self.afterwards)

    def end(self, topic: str, partition: int) -> int | None:
        """The offset after the last record of a settled unit in a partition.

        None where it has none, or the broker has told only that it has the batch already.
        """
        sent, records = self.last.get((topic, partition), (None, 0))
        first = -1 if sent is None else sent.result().offset
        return None if first < 0 else first + records

    def refused_alone(self) -> dict[SentRecord, KafkaError]:
        """The records that are known to be refused, and with which error."""
        errors = {record: sent.exception() for sent, record in self.alone.items() if sent.done()}
        return {record: error for record, error in errors.items() if isinstance(error, REFUSED)}


class _Full(NamedTuple):
    """A batch of `unit` that is ready to be sent; `alone` is its only record, where it must have no other."""

    unit: Unit
    topic: str
    partition: int
    batch: BatchBuilder
    alone: SentRecord | None = None


class Delivery:
    """Collects outputs in producer batches, sends them, and settles units in their order.

    `commit` takes the offsets of a settled unit. `reached` is called with the name of each step (for
    tests that end the process between two of them). `begin` begins a transaction, if none is open, before
    something is sent; `commit` ends it. Meanwhile outputs are collected.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        commit: Callable[[Mapping[TopicPartition, int]], Awaitable[None]],
        reached: Callable[[str], None],
        refusals: Refusals,
        begin: Callable[[], Awaitable[None]] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self._producer = producer
        self._commit = commit
        self._reached = reached
        self._refusals = refusals
        self._begin = begin
        self._traffic = traffic or Traffic()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._open: dict[tuple[str, int], BatchBuilder] = {}
        self._full: deque[_Full] = deque()
        self._unit = Unit()
        self._closing: Unit | None = None

    @property
    def full(self) -> bool:
        """There are full batches to be sent, now or at last."""
        return bool(self._full) and (self._may_send.is_set() or len(self._full) >= HELD_BATCHES)

    @property
    def unit(self) -> Unit:
        """The open unit."""
        return self._unit

    def takes_all(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> bool:  # fmt: skip
        """All these records can be published, as far as that is known at once; else `refusal` tells of each."""
        longest = _longest(keys), _longest(values), max(headers or (), key=_size_of_headers, default=NO_HEADERS)
        return output.takes(*longest) and not self._refusals.careful()

    def refusal(
        self, output: Output, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = NO_HEADERS
    ) -> str | None:
        """Why a record cannot be published, for the one who reads dead letters; None if it can."""
        if not output.takes(key, value, headers):
            return output.refusal(key, value, headers)
        return self._refusals.cause(SentRecord(output.topic, key, timestamp))

    def emit(
        self, output: Output, partition: int, key: bytes | None, value: bytes | None, timestamp: int,
        headers: Headers = NO_HEADERS,
    ) -> None:  # fmt: skip
        """Add one record; `timestamp` in milliseconds since the epoch."""
        batch = self._open.get((output.topic, partition)) or self._new(output, partition)
        if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            self._full.append(_Full(self._unit, output.topic, partition, batch))
            self._new(output, partition).append(timestamp=timestamp, key=key, value=value, headers=headers)
        if self._refusals.careful():
            alone = SentRecord(output.topic, key, timestamp)
            single = self._open.pop((output.topic, partition))
            self._full.append(_Full(self._unit, output.topic, partition, single, alone))

    def emit_many(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        timestamps: Sequence[int], by: Sequence[bytes], headers: Sequence[Headers] | None = None,
    ) -> None:  # fmt: skip
        """Add records to the partitions that the keys in `by` belong to, in their order.

        `headers` has those of each record; without any it is quicker.
        """
        partitions = partitions_of(by, output.partitions)
        if self._refusals.careful() or headers is not None:
            columns = zip(keys, values, partitions, timestamps, headers or repeat(NO_HEADERS, len(keys)), strict=True)
            for key, value, partition, timestamp, each in columns:
                self.emit(output, partition, key, value, timestamp, each)
            return
        topic = output.topic
        opened = [
            self._open.get((topic, partition)) or self._new(output, partition) for partition in range(output.partitions)
        ]
        for key, value, partition, timestamp in zip(keys, values, partitions, timestamps, strict=True):
            if opened[partition].append(timestamp=timestamp, key=key, value=value) is None:
                self._full.append(_Full(self._unit, topic, partition, opened[partition]))
                opened[partition] = self._new(output, partition)
                opened[partition].append(timestamp=timestamp, key=key, value=value)

    def assign(self, assigned: Collection[TopicPartition]) -> None:
        """Take offsets of these partitions only, and forget the positions of before; comes between two units."""
        self._assigned = frozenset(assigned)
        self._positions.clear()

    def done(self, tp: TopicPartition, position: int) -> None:
        """All records of `tp` before `position` are wholly done, their outputs emitted."""
        self._require_assigned(tp)
        self._unit.offsets[tp] = self._positions[tp] = position

    def touch(self, tp: TopicPartition) -> None:
        """What comes of records of `tp` that are done: it is fenced by their offset, unchanged."""
        self._require_assigned(tp)
        self._unit.offsets.setdefault(tp, self._positions[tp])

    def _require_assigned(self, tp: TopicPartition) -> None:
        if tp not in self._assigned:
            task = asyncio.current_task()
            raise NotAssignedError(tp, "a callback" if task is None else f"task {task.get_name()}")

    def with_outputs(self, follow: Callable[[], None]) -> None:
        """Do what must not be lost, nor come twice, with the outputs of this unit: in one with them, or after them."""
        if self._begin is None:
            self._unit.afterwards.append(follow)
        else:
            follow()

    async def send_full(self) -> None:
        """Send full batches of the open unit; waits while the broker is behind."""
        await self._send(self._unit)

    async def close(self) -> Unit:
        """End the open unit, and send what is left of it; a new one is open from here on.

        What is emitted meanwhile, by whoever follows a table, belongs to the new one. Cut short, it goes on with the
        same unit when it is called again.
        """
        if self._closing is None:
            self._closing, self._unit = self._unit, Unit()
            opened, self._open = self._open, {}
            self._full += [
                _Full(self._closing, *place, batch) for place, batch in opened.items() if batch.record_count()
            ]
        await self._send(self._closing)
        unit, self._closing = self._closing, None
        if self._begin is not None and not unit.empty:
            self._may_send.clear()
        return unit

    async def _send(self, unit: Unit) -> None:
        while self._full and self._full[0].unit is unit:
            await self._may_send.wait()
            if self._begin is not None:
                await self._begin()
            _, topic, partition, batch, alone = self._full[0]
            # Cut short while it waits, it has not taken the batch: whoever goes on sends it.
            async with within(ANSWER_SECONDS, "a batch to be taken"):
                sent = await self._producer.send_batch(batch, topic, partition=partition)
            unit.acknowledgements.append(sent)
            unit.last[topic, partition] = sent, batch.record_count()
            unit.records[topic, partition] += batch.record_count()
            if alone is not None:
                unit.alone[sent] = alone
            self._full.popleft()

    async def settle(self, unit: Unit) -> None:
        """Wait for the acknowledgements of `unit`, then commit its offsets."""
        try:
            await self._settle(unit)
        finally:
            self._may_send.set()

    async def _settle(self, unit: Unit) -> None:
        began = time.monotonic()
        self._reached("delivery.sent")
        try:
            async with within(ANSWER_SECONDS, "outputs to be acknowledged"):
                await asyncio.gather(*unit.acknowledgements)
        except REFUSED:
            self._refusals.refused(unit.refused_alone())
            raise
        self._reached("delivery.acknowledged")
        if unit.offsets or unit.acknowledgements:
            async with within(ANSWER_SECONDS, "offsets to be committed"):
                await self._commit(unit.offsets)
            self._traffic.committed(unit.records, time.monotonic() - began)
        self._reached("delivery.committed")
        for follow in unit.afterwards:
            follow()

    def _new(self, output: Output, partition: int) -> BatchBuilder:
        small = output.max_bytes < BATCH_BYTES
        batch = self._small_batch(output.max_bytes) if small else self._producer.create_batch()
        self._open[output.topic, partition] = batch
        return batch

    def _small_batch(self, size: int) -> BatchBuilder:
        return BatchBuilder(size, NO_COMPRESSION, is_transactional=self._begin is not None)


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Upper bound of the record batch that has this record only."""
    return len(key or b"") + len(value or b"") + _size_of_headers(headers) + RECORD_OVERHEAD


def _size_of_headers(headers: Headers) -> int:
    # No name that has only characters of ASCII is encoded for its length.
    return sum(
        (len(name) if name.isascii() else len(name.encode())) + len(value or b"") + HEADER_OVERHEAD
        for name, value in headers
    )


def _longest(column: Sequence[bytes | None]) -> bytes | None:
    return max(filter(None, column), key=len, default=None)
