"""Outputs on their way to Kafka, and the input offsets that they complete.

A *unit* is a stretch of processing: the outputs of some input records, and the offsets up to which those records are
fully processed. Outputs are sent while the unit is open. It is *settled* when all of them are acknowledged; only then
are its offsets committed. One unit is open, and at most one is settling. The module knows neither tables nor Faust; the
guarantee decides how a unit is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from larder.counters.left_out_headers import LeftOutHeaders
from larder.counters.traffic import Traffic
from larder.declaring.problems import Problem
from larder.delivery.guarantees import Guarantee
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.delivery.refused_records import REFUSED, Refusals, SentRecord
from larder.delivery.unit import FullBatch, Unit
from larder.kafka.partitioner import partitions_of
from larder.kafka.retrying import within

HELD_BATCHES: Final = 64
"""How many full batches may wait for the previous transaction to end before processing waits."""

HEADER_BYTES: Final = 8_192
"""More than what Larder's headers and those that go along add to a record: only larger records are measured."""

ANSWER_SECONDS: Final = 15.0
"""How long a step of a unit may take. aiokafka may wait forever, and the broker ends a transaction after 10 s."""

Commit = Callable[[Guarantee, Mapping[TopicPartition, int]], Awaitable[None]]
"""Commits the offsets of a settled unit with its guarantee."""


class NotAssignedError(KafkaError):
    """A task of an earlier assignment notes an offset of a revoked partition, whose committed offset could move back.

    Joins, decides and agents of an earlier assignment never do this, unless Larder has a bug.
    """

    def __init__(self, tp: TopicPartition, task: str) -> None:
        self.problem = Problem(
            f"an offset of topic {tp.topic} partition {tp.partition}",
            "requires a partition that is assigned to this worker",
            f"one that was revoked; {task} of an earlier assignment is still running",
            "nothing is lost, the offset is not committed; report it as a bug of Larder, with the log",
        )
        super().__init__(str(self.problem))

    def __str__(self) -> str:
        return str(self.problem)


class Delivery:
    """Collects outputs in producer batches, sends them, and settles units in order.

    It lives as long as its worker. Before its first use, and after an error, it is renewed with another guarantee.
    `reached` is called with the name of each step, for tests that end the process between two steps.
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
        """Start over without partitions; drop unsettled outputs, which are produced again later."""
        self._guarantee = guarantee
        self._unit, self._closing = Unit(), None
        self._may_send.set()
        self.assign(())

    @property
    def guarantee(self) -> Guarantee:
        """The current guarantee, which commits units."""
        return self._guarantee

    @property
    def full(self) -> bool:
        """Whether full batches can be sent now, or have become too many."""
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
        """Return whether all these records can surely be published; if not, `check` decides on each."""
        return output.takes_all(keys, values, headers) and not self._refusals.careful()

    def check(
        self, output: Output, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = NO_HEADERS
    ) -> None:
        """Raise ValueError with the cause of the dead letter if a record cannot be published."""
        if not output.takes(key, value, headers):
            raise ValueError(output.refusal(key, value, headers))
        if (cause := self._refusals.cause(output.topic, key, timestamp)) is not None:
            raise ValueError(cause)

    def emit(
        self, output: Output, partition: int, key: bytes | None, value: bytes | None, timestamp: int,
        headers: Headers = NO_HEADERS, carried: Headers = NO_HEADERS,
    ) -> None:  # fmt: skip
        """Add one record; `timestamp` in milliseconds since the epoch.

        Headers that are `carried` along are left out if the topic would refuse the record because of them.
        """
        if carried:
            headers = self._fitting(output, key, value, headers, carried)
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
        carried: Sequence[Headers] | None = None,
    ) -> None:  # fmt: skip
        """Add records in order, each to the partition of its key in `by`.

        `headers` and `carried` have the headers of each record; it is faster without.
        """
        partitions = partitions_of(by, output.partitions)
        if self._refusals.careful() or headers is not None or carried is not None:
            none = [NO_HEADERS] * len(keys)
            columns = zip(keys, values, partitions, timestamps, headers or none, carried or none, strict=True)
            for key, value, partition, timestamp, own, along in columns:
                self.emit(output, partition, key, value, timestamp, own, along)
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

    def _fitting(
        self, output: Output, key: bytes | None, value: bytes | None, headers: Headers, carried: Headers
    ) -> Headers:
        """Return all headers of a record; without the carried ones if the topic would refuse it because of them."""
        both = [*headers, *carried]
        if output.takes_more(key, value, HEADER_BYTES) or output.takes(key, value, both):
            return both
        self.left_out.note(output.topic, f"with them it would have more than {output.max_bytes} bytes")
        return headers

    @property
    def left_out(self) -> LeftOutHeaders:
        """How many records went on without their carried headers."""
        return self._traffic.left_out

    def _new(self, output: Output, partition: int) -> BatchBuilder:
        batch = self._unit.filling[output.topic, partition] = self._guarantee.new_batch(output.max_bytes)
        return batch

    def assign(self, assigned: Collection[TopicPartition]) -> None:
        """Accept offsets of these partitions only, and forget earlier positions. Called between two units."""
        self._assigned = frozenset(assigned)
        self._positions.clear()

    def done(self, tp: TopicPartition, position: int) -> None:
        """Note that all records of `tp` before `position` are fully processed, and their outputs emitted."""
        self._require_assigned(tp)
        self._unit.offsets[tp] = self._positions[tp] = position

    def position(self, tp: TopicPartition) -> int:
        """Return the offset before which all records of `tp` are processed, also in units that are not settled."""
        return self._positions[tp]

    def touch(self, tp: TopicPartition) -> None:
        """Fence later outputs of finished records of `tp` by committing their offset again, unchanged."""
        self._require_assigned(tp)
        self._unit.offsets.setdefault(tp, self._positions[tp])

    def _require_assigned(self, tp: TopicPartition) -> None:
        if tp not in self._assigned:
            task = asyncio.current_task()
            raise NotAssignedError(tp, "a callback" if task is None else f"task {task.get_name()}")

    def with_outputs(self, follow: Callable[[], None]) -> None:
        """Call `follow` atomically with the outputs of this unit, or after them, as the guarantee requires."""
        self._guarantee.with_outputs(follow, self._unit.afterwards)

    async def send_full(self) -> None:
        """Send full batches of the open unit; wait while the broker is behind."""
        if self._closing is None:
            await self._send(self._unit)

    async def close(self) -> Unit:
        """End the open unit, send the rest of its outputs, and open a new unit.

        Outputs that a table's follower emits meanwhile belong to the new unit. If this is cancelled, the next call
        continues with the same unit.
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
            # If this is cancelled, the producer has not taken the batch, and the next call sends it.
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
        if unit.commits:
            async with within(ANSWER_SECONDS, "offsets to be committed"):
                await self._commit(self._guarantee, unit.offsets)
            self._traffic.committed(unit.records, time.monotonic() - began)
        self._reached("delivery.committed")
        for follow in unit.afterwards:
            follow()
