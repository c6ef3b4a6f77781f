"""Reads a bounded sample of a topic, or all of it: the oldest and the newest committed records of each partition.

Pure functions choose the stretches to read. If the broker returns nothing for a while, reading stops, and that is
reported.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.structs import TopicPartition

from larder.kafka.batch_consumer import BATCH_RECORDS, POLL_SECONDS, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from larder.declaring.records import Record
    from larder.doctor.facts import TopicState
    from larder.kafka.batch_consumer import BatchConsumer

STALLED_SECONDS: Final = 15.0
"""A healthy broker returns records in milliseconds. One that has lost a replica elects a leader within seconds."""


class Stretch(NamedTuple):
    """Offsets from `start` to before `stop`, and at most `most` records of them; None for all."""

    start: int
    stop: int
    most: int | None = None


class Read(NamedTuple):
    """How much of a topic was read: records, whether those are all, and partitions that could not be read to the end.

    `there`: the number of offsets between the starts and the ends of its logs.
    """

    records: int
    there: int
    whole: bool
    unread: tuple[int, ...]


def stretches(begin: int, end: int, wanted: int | None) -> tuple[Stretch, ...]:
    """Choose what to read of a log: all of it, or about as many of the oldest as of the newest records.

    The newest are chosen by offset. There are fewer of them if compaction or transaction markers left gaps.
    """
    if begin >= end:
        return ()
    if wanted is None or end - begin <= wanted:
        return (Stretch(begin, end),)
    newest = max(1, wanted // 2)
    oldest = Stretch(begin, end - newest, max(1, wanted - newest))
    return oldest, Stretch(end - newest, end)


async def sample(
    consumer: BatchConsumer,
    topic: TopicState,
    wanted: int | None,
    take: Callable[[int, Sequence[Record]], None],
    progress: Callable[[int], None] = lambda _: None,
) -> Read:
    """Read `wanted` records of a topic, or all of them with None. `take` gets them in the order of the log.

    Calls `progress` from time to time with the number of records read. Raises KafkaError.
    """
    share = None if wanted is None else max(2, wanted // max(1, topic.partitions))
    chosen = {TopicPartition(topic.name, at): stretches(topic.begins[at], end, share) for at, end in topic.ends.items()}
    reading = _Reading(consumer, take, progress)
    tps = [tp for tp, parts in chosen.items() if parts]
    if tps:
        consumer.assign(tps)
        for turn in range(max(len(parts) for parts in chosen.values())):
            await reading.through({tp: parts[turn] for tp, parts in chosen.items() if turn < len(parts)})
    bounded = any(len(parts) > 1 for parts in chosen.values())
    whole = not (bounded or reading.unread or topic.leaderless)
    return Read(reading.records, topic.span, whole, tuple(sorted(reading.unread)))


class _Reading:
    def __init__(
        self,
        consumer: BatchConsumer,
        take: Callable[[int, Sequence[Record]], None],
        progress: Callable[[int], None],
    ) -> None:
        self._consumer = consumer
        self._take = take
        self._progress = progress
        self.records = 0
        self.unread: set[int] = set()

    async def through(self, parts: Mapping[TopicPartition, Stretch]) -> None:
        """Read one stretch of each partition, all of them concurrently."""
        left = {tp: part for tp, part in parts.items() if tp.partition not in self.unread}
        for tp, part in left.items():
            self._consumer.seek(tp, part.start)
        moved_at = time.monotonic()
        while left:
            fetched = await fetch(self._consumer, left.keys(), POLL_SECONDS, BATCH_RECORDS)
            for batch in fetched.batches:
                if batch.tp in left and batch.position > left[batch.tp].start:
                    moved_at = time.monotonic()
                    self._advance(left, batch.tp, batch.records, batch.position)
            self._progress(self.records)
            if time.monotonic() - moved_at > STALLED_SECONDS:
                self.unread |= {tp.partition for tp in left}
                return
            await self._begin_later(left, left.keys() & fetched.out_of_range)
            await asyncio.sleep(0)

    def _advance(
        self, left: dict[TopicPartition, Stretch], tp: TopicPartition, records: Sequence[Record], position: int
    ) -> None:
        part = left.pop(tp)
        taken = [record for record in records if record.offset < part.stop][: part.most]
        self._take(tp.partition, taken)
        self.records += len(taken)
        most = None if part.most is None else part.most - len(taken)
        if position < part.stop and most != 0:
            left[tp] = Stretch(position, part.stop, most)

    async def _begin_later(self, left: dict[TopicPartition, Stretch], tps: Collection[TopicPartition]) -> None:
        """Continue at the present starts of the logs: retention has deleted the earlier records."""
        begins = await self._consumer.beginning_offsets(tps) if tps else {}
        for tp, begin in begins.items():
            part = left.pop(tp)
            if begin < part.stop:
                left[tp] = part._replace(start=begin)
                self._consumer.seek(tp, begin)
