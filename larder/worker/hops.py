"""Measures how far the rows of mirrored tables have come: from the source's end, through the group, into the mirror.

The mirror of a table may be written by another worker. So a mirror that is read to its end says nothing by itself. The
rows that a source had at some time are in its mirror once the group has committed past the ends of that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.declaring.problems import LarderError, Problem
from larder.group.faust_consumer import Consumer
from larder.kafka.retrying import is_passing
from larder.local_tables.end_tracker import Hop
from larder.local_tables.table import LocalTable
from larder.worker.builds import WRITTEN_SECONDS, MirrorTime, too_late
from larder.worker.service_topics import ServiceTopics

HOP_SECONDS = 0.25
"""The interval between two questions."""


class MirrorGapError(LarderError):
    """Nobody read the source of a mirror for longer than it keeps deletions."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class Hops:
    """The mirrored tables of a service in a worker.

    `tables` has them by the topic of their source, `kept` how many seconds a source keeps deletions. `note` writes down
    when mirrors had all deletions.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: ServiceTopics,
        tables: Mapping[str, LocalTable],
        kept: Mapping[str, float],
        note: Callable[[Iterable[MirrorTime]], Awaitable[None]],
        service: str,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._topics = topics
        self._tables = tables
        self._kept = kept
        self._note = note
        self._service = service
        self._clock = clock
        self._asked: dict[str, tuple[float, Mapping[TopicPartition, int]]] = {}
        self._passed: dict[str, float] = {}
        self._noted: dict[str, float] = {}

    async def watch(self) -> None:
        """Measure until cancelled; retry after temporary errors. Raise MirrorGapError."""
        while self._tables:
            await asyncio.sleep(HOP_SECONDS)
            try:
                await self._measure()
                await self._write_down()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise

    async def _measure(self) -> None:
        here = {source: table for source, table in self._tables.items() if table.partitions}
        if not here or not self._consumer.can_be_asked:
            return
        counts = self._topics.partition_counts
        tps = [TopicPartition(source, number) for source in here for number in range(counts[source])]
        asked_at = self._clock()
        found = await self._consumer.offsets(tps)
        passed_at = self._clock()
        for source, table in here.items():
            ends = {tp: end for tp, end in found.ends.items() if tp.topic == source}
            asked, wanted = self._asked.setdefault(source, (asked_at, ends))
            committed = {tp: found.committed[tp].offset for tp in wanted if tp in found.committed}
            pending = any(tp.topic == source for tp in found.pending)
            if not pending and all(committed.get(tp, -1) >= end for tp, end in wanted.items()):
                del self._asked[source]
                self._require_in_time(source, asked)
                self._passed[source] = asked
                table.passed(Hop(asked, passed_at))

    def _require_in_time(self, source: str, asked: float) -> None:
        before = self._passed.get(source, asked)
        if abs(asked - before) > self._kept[source]:
            mirror = self._tables[source].stored.topic.name
            raise MirrorGapError(too_late(self._service, source, mirror, before, self._kept[source]))

    async def _write_down(self) -> None:
        times = [
            MirrorTime(source, self._topics.ids[self._tables[source].stored.topic.name], at)
            for source, at in self._passed.items()
            if at - self._noted.get(source, 0.0) >= min(WRITTEN_SECONDS, self._kept[source] / 4)
        ]
        if times:
            await self._note(times)
            self._noted |= {each.source: each.at for each in times}
