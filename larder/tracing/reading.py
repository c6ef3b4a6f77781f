"""Reads the story of a key from the topics: without an index, one partition after the other, with one consumer.

The first reading looks for the key. If its records have traces, a second one looks for the other records of these. What
is read is limited by two times, and what is kept by a number of records, without their values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.coordinates import Coordinates
from larder.kafka.admin import Cluster
from larder.kafka.readers import Span, reader, records, spans
from larder.tracing.story import Story, StoryStep, told
from larder.tracing.topics import trace_of, traced_topics

if TYPE_CHECKING:
    from larder.config.connection import Connection
    from larder.declaring.records import Record
    from larder.declaring.service import Service
    from larder.kafka.batch_consumer import BatchConsumer
    from larder.tracing.topics import TracedTopic

MOST_STEPS: Final = 1_000
"""The most records of a story: people read some dozens, and a trace may be that of a batch job."""

MOST_TRACES: Final = 20
"""The most traces that are followed; one key has one for each request about it."""


class Wanted(NamedTuple):
    """A key as text, and two times in ms: records with timestamps between them are read."""

    key: str
    since: int
    until: int


class TraceProgress(NamedTuple):
    """How many records are read, of how many, and in which topic."""

    read: int
    of: int
    topic: str


class _Range(NamedTuple):
    topic: TracedTopic
    tp: TopicPartition
    span: Span


async def tell(
    connection: Connection,
    services: Sequence[Service],
    wanted: Wanted,
    report: Callable[[TraceProgress], None] = lambda _: None,
    seconds: float = float("inf"),
) -> Story:
    """Read the story of a key, as far as it can be read in so many seconds.

    Raises MistakeError for a key that is one of no topic, KafkaError and OSError.
    """
    topics = traced_topics(services, wanted.key)
    async with Cluster(connection) as cluster:
        facts = await cluster.facts([each.name for each in topics])
    there = {each: facts[each.name].partitions for each in topics if each.name in facts}
    async with reader(connection) as consumer:
        found = _StoryReading(consumer, await _ranges(consumer, there, wanted), report, time.monotonic() + seconds)
        await found.read(lambda topic, record: topic.about(record))
        if traces := found.traces():
            await found.read(lambda _, record: bool(record.headers) and trace_of(record) in traces, last=True)
    missing = [each.name for each in topics if each.name not in facts]
    return Story(
        wanted.key,
        wanted.since,
        wanted.until,
        told(list(found.steps.values())),
        sorted(traces),
        len(there),
        found.read_records,
        missing,
        found.whole,
    )


async def _ranges(consumer: BatchConsumer, there: Mapping[TracedTopic, int], wanted: Wanted) -> list[_Range]:
    """Return the partitions of the topics, each with its offsets between the two times."""
    topics = {TopicPartition(topic.name, each): topic for topic, count in there.items() for each in range(count)}
    whole = await spans(consumer, list(topics))
    begins = await consumer.offsets_for_times(dict.fromkeys(topics, wanted.since)) if topics else {}
    ends = await consumer.offsets_for_times(dict.fromkeys(topics, wanted.until)) if topics else {}
    found = []
    for tp, span in whole.items():
        begin, end = begins.get(tp), ends.get(tp)
        first = span.end if begin is None else max(span.begin, begin.offset)
        found.append(_Range(topics[tp], tp, Span(first, span.end if end is None else min(span.end, end.offset))))
    return found


class _StoryReading:
    """Steps by their place, while the ranges are read once or twice."""

    def __init__(
        self,
        consumer: BatchConsumer,
        ranges: Sequence[_Range],
        report: Callable[[TraceProgress], None],
        deadline: float,
    ) -> None:
        self.steps: dict[Coordinates, StoryStep] = {}
        self.whole = True
        self.read_records = 0
        self._consumer = consumer
        self._ranges = ranges
        self._report = report
        self._deadline = deadline
        self._of = sum(max(0, each.span.end - each.span.begin) for each in ranges)
        self._passed = 0

    def traces(self) -> frozenset[str]:
        """Return the traces of the steps, and note if there are too many."""
        found = sorted({step.trace for step in self.steps.values() if step.trace is not None})
        self.whole = self.whole and len(found) <= MOST_TRACES
        return frozenset(found[:MOST_TRACES])

    async def read(self, takes: Callable[[TracedTopic, Record], bool], *, last: bool = False) -> None:
        """Read all ranges, and keep the records that are taken."""
        for each in self._ranges:
            async for some in records(self._consumer, each.tp, each.span):
                if time.monotonic() > self._deadline or not self._keep(each, some, takes):
                    self.whole = False
                    return
                self._passed += len(some)
                of = self._of * (2 if last else 1)
                self._report(TraceProgress(min(self._passed, of), of, each.tp.topic))

    def _keep(self, of: _Range, some: Sequence[Record], takes: Callable[[TracedTopic, Record], bool]) -> bool:
        """Keep what is taken of some records; return False if there is too much of it."""
        self.read_records += len(some)
        for record in some:
            place = Coordinates(of.tp.topic, of.tp.partition, record.offset)
            if place not in self.steps and takes(of.topic, record):
                if len(self.steps) >= MOST_STEPS:
                    return False
                self.steps[place] = of.topic.read(of.tp.partition, record)
        return True
