"""Holds the new partitions of a source that others have grown until the former ones are processed up to that time.

The later records of a key may be in another partition than its earlier ones. Two lanes would pass them on in any order.
If the number was multiplied, keys only move to new partitions, so that holding these keeps the order of each key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.assembly.plan import ServicePlan
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.group.faust_consumer import Consumer
from larder.group.start_offsets import Offsets
from larder.kafka.retrying import is_passing

CHECK_SECONDS = 0.25
"""The interval at which the offsets of the former partitions are checked."""


@dataclass(frozen=True)
class _Grown:
    """A source that has grown: its former number of partitions, and the ends of these when that was noticed.

    `unfit` is set if no order of its partitions keeps the order of its rows.
    """

    before: int
    ends: Mapping[TopicPartition, int]
    unfit: Problem | None


def former_count(topic: str, offsets: Offsets, filled: Mapping[str, int]) -> int:
    """Return the number of partitions that the service knew when it last processed a source; 0 if it never did.

    `filled` has the numbers of tables whose mirrors are filled from a source that was no input before.
    """
    known = [each.placed_by for tp, each in offsets.committed.items() if tp.topic == topic]
    return max(known, default=0) or filled.get(topic, 0)


class NewPartitions:
    """The sources with new partitions that have to wait."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._grown: dict[str, _Grown] = {}
        self._sources: Collection[str] = ()

    async def begin(
        self, plan: ServicePlan, offsets: Offsets, counts: Mapping[str, int], filled: Mapping[str, int]
    ) -> None:  # fmt: skip
        """Find the sources that have grown, in a new assignment; raise KafkaError."""
        self._sources = [name for name, each in plan.inputs.items() if each.rekeyings]
        before = {name: former_count(name, offsets, filled) for name in self._sources}
        grown = {name: count for name, count in before.items() if 0 < count < counts[name]}
        tps = [TopicPartition(name, number) for name, count in grown.items() for number in range(count)]
        ends = (await self._consumer.offsets(tps)).ends if tps else {}
        mirrored = {
            name for name in grown if any(each.rekeyed.mirrored for each in plan.inputs[name].rekeyings.values())
        }
        self._grown = {
            name: _Grown(
                count,
                {tp: end for tp, end in ends.items() if tp.topic == name},
                not_multiplied(name, count, counts[name]) if name in mirrored and counts[name] % count else None,
            )
            for name, count in grown.items()
        }

    def holds(self, tp: TopicPartition) -> bool:
        """Return whether a partition has to wait."""
        grown = self._grown.get(tp.topic)
        return grown is not None and tp.partition >= grown.before

    def unfit(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, Problem]:
        """Return the new partitions that can never be processed, each with the reason."""
        grown = {tp: self._grown[tp.topic].unfit for tp in tps if self.holds(tp)}
        return {tp: problem for tp, problem in grown.items() if problem is not None}

    def count(self, topic: str, now: int) -> int:
        """Return the number of partitions to commit with: the former one until the new ones are processed as well.

        It is 0 for a topic that is no source of others.
        """
        if topic not in self._sources:
            return 0
        return self._grown[topic].before if topic in self._grown else now

    async def watch(self) -> None:
        """Release sources until cancelled; retry after temporary errors."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._release()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise

    async def _release(self) -> None:
        waiting = {name: each for name, each in self._grown.items() if each.unfit is None}
        if not waiting:
            return
        offsets = await self._consumer.offsets([tp for each in waiting.values() for tp in each.ends])
        for name, grown in waiting.items():
            reached = {tp: offsets.committed[tp].offset for tp in grown.ends if tp in offsets.committed}
            if all(reached.get(tp, -1) >= end for tp, end in grown.ends.items()) and self._grown.get(name) is grown:
                del self._grown[name]


def not_multiplied(topic: str, before: int, now: int) -> Problem:
    """Return the problem of a table whose source was grown in a way that moves keys between its former partitions."""
    return Problem(
        f"topic {topic}",
        f"requires a multiple of {counted(before, 'partition')}: then the later rows of a key are in new partitions,"
        " and can be mirrored behind the earlier ones",
        str(now),
        f"create {topic} again, and rewrite its rows",
    )
