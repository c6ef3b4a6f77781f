"""Outputs on their way to Kafka, and the input offsets that they complete.

A *unit* is a stretch of processing: the outputs of some input records and the offsets up to which those
records are wholly done. Outputs are sent while the unit is open; it is *settled* when every one of them
is acknowledged and only then are its offsets committed. One unit is open, at most one is settling. Knows
neither tables nor Faust; how a unit is committed is a matter of its guarantee.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import repeat
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from larder.counters.traffic import Traffic
from larder.declaring.problems import Problem
from larder.delivery.guarantees import Guarantee
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.delivery.refused_records import REFUSED, Refusals, SentRecord
from larder.delivery.unit import FullBatch, Unit
from larder.kafka.partitioner import partitions_of
from larder.kafka.retrying import within

HELD_BATCHES: Final = 64
"""This many full batches may wait for the previous transaction to end; then processing waits."""

ANSWER_SECONDS: Final = 15.0
"""How long a step of a unit may take: the broker itself ends a transaction after ten. aiokafka may wait for ever."""

Commit = Callable[[Guarantee, Mapping[TopicPartition, int]], Awaitable[None]]
"""Commits the offsets of a settled unit with its guarantee."""


class NotAssignedError(KafkaError):
    """A task of an earlier assignment gives an offset of a partition that went: committed, it would move back.

    Joins, decides and agents of an earlier assignment give none, unless Larder itself is wrong.
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


class Delivery:
    """Collects outputs in producer batches, sends them, and settles units in their order.

    It lives as long as its worker: after an error, and before it is used, it is renewed with another guarantee.
    `reached` is called with the name of each step, for tests that end the process between two of them.
    """

    _guarantee: Guarantee

    def __init__(
        self, commit: Commit, reached: Callable[[str], None], refusals: Refusals, traffic: Traffic | None = None
    ) -> None:
        self._commit = commit
        self._reached = reached
        self._refusals = refusals
        self._traffic = traffic or Traffic()
        self._may_send = asyncio.Event()
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._unit = Unit()
        self._closing: Unit | None = None

    def renew(self, guarantee: Guarantee) -> None:
        """Begin again without partitions; what is not settled is dropped, and made again from the committed offsets."""
        self._guarantee = guarantee
        self._unit, self._closing = Unit(), None
        self._may_send.set()
        self.assign(())

    @property
    def guarantee(self) -> Guarantee:
        """How units are committed now."""
        return self._guarantee

    @property
    def full(self) -> bool:
        """There are full batches to be sent, now or at last."""
        full = self._unit.full
        return bool(full) and (self._may_send.is_set() or len(full) >= HELD_BATCHES)

    @property
    def unit(self) -> Unit:
        """The open unit."""
        return self._unit

    def takes_all(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> bool:  # fmt: skip
        """All these records can be published, as far as that is known at once; else `check` says of each."""
        return output.takes_all(keys, values, headers) and not self._refusals.careful()

    def check(
        self, output: Output, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = NO_HEADERS
    ) -> None:
        """Raise ValueError, with the cause of a dead letter, for a record that cannot be published."""
        if not output.takes(key, value, headers):
            raise ValueError(output.refusal(key, value, headers))
        if (cause := self._refusals.cause(SentRecord(output.topic, key, timestamp))) is not None:
            raise ValueError(cause)

    def emit(
        self, output: Output, partition: int, key: bytes | None, value: bytes | None, timestamp: int,
        headers: Headers = NO_HEADERS,
    ) -> None:  # fmt: skip
        """Add one record; `timestamp` in milliseconds since the epoch."""
        unit, place = self._unit, (output.topic, partition)
        batch = unit.filling.get(place) or self._new(output, partition)
        if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            unit.full.append(FullBatch(place, batch))
            self._new(output, partition).append(timestamp=timestamp, key=key, value=value, headers=headers)
        if self._refusals.careful():
            unit.full.append(FullBatch(place, unit.filling.pop(place), SentRecord(output.topic, key, timestamp)))

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
        topic, unit = output.topic, self._unit
        filling = [
            unit.filling.get((topic, partition)) or self._new(output, partition)
            for partition in range(output.partitions)
        ]
        for key, value, partition, timestamp in zip(keys, values, partitions, timestamps, strict=True):
            if filling[partition].append(timestamp=timestamp, key=key, value=value) is None:
                unit.full.append(FullBatch((topic, partition), filling[partition]))
                filling[partition] = self._new(output, partition)
                filling[partition].append(timestamp=timestamp, key=key, value=value)

    def _new(self, output: Output, partition: int) -> BatchBuilder:
        batch = self._unit.filling[output.topic, partition] = self._guarantee.new_batch(output.max_bytes)
        return batch

    def assign(self, assigned: Collection[TopicPartition]) -> None:
        """Take offsets of these partitions only, and forget earlier positions; comes between two units."""
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
        self._guarantee.with_outputs(follow, self._unit.afterwards)

    async def send_full(self) -> None:
        """Send full batches of the open unit; waits while the broker is behind."""
        if self._closing is None:
            await self._send(self._unit)

    async def close(self) -> Unit:
        """End the open unit, and send what is left of it; a new one is open from here on.

        What is emitted meanwhile, by the follower of a table, belongs to the new one. Cut short, it goes on with the
        same unit when it is called again.
        """
        if self._closing is None:
            self._closing, self._unit = self._unit, Unit()
            self._closing.seal()
        await self._send(self._closing)
        unit, self._closing = self._closing, None
        if not (unit.empty or self._guarantee.overlapping):
            self._may_send.clear()
        return unit

    async def _send(self, unit: Unit) -> None:
        while unit.full:
            await self._may_send.wait()
            await self._guarantee.begin()
            (topic, partition), batch, _ = unit.full[0]
            # If this is cut short, the producer has not taken the batch: it is sent when sending goes on.
            async with within(ANSWER_SECONDS, "a batch to be taken"):
                sent = await self._guarantee.producer.send_batch(batch, topic, partition=partition)
            unit.sent(sent)

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
                await self._commit(self._guarantee, unit.offsets)
            self._traffic.committed(unit.records, time.monotonic() - began)
        self._reached("delivery.committed")
        for follow in unit.afterwards:
            follow()
