"""Reads topics of letters from outside: only committed records, without a consumer group, backwards from the end.

A read is limited to a number of the newest records, and proceeds in windows.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.dead_letters.letters import Letter, Settlement, read_record
from larder.declaring.facts import dead_letters_name
from larder.kafka.admin import Cluster
from larder.kafka.readers import Span, reader, records, spans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from larder.declaring.facts import TopicFacts
    from larder.declaring.records import Record
    from larder.kafka.batch_consumer import BatchConsumer

MOST_RECORDS = 100_000
"""Records to read for one answer, the newest of all partitions: one or two seconds."""

FIRST_WINDOW, LARGEST_WINDOW = 500, 10_000
"""Records of a window: what a page mostly needs, and the number held in memory, without their values."""


class LetterKind(NamedTuple):
    """A kind of letters.

    topic    the name of a service's topic for them
    read     returns a record of a partition as a letter; None if it is not a letter
    subject  what letters are counted by, beside their cause
    """

    topic: Callable[[str], str]
    read: Callable[[int, Record], Letter | Settlement | None]
    subject: Callable[[Letter], str]


DEAD_LETTERS = LetterKind(dead_letters_name, read_record, lambda letter: letter.id.topic)


class Shelf:
    """A service's topic of letters: its number of partitions, 0 if there is none, and its size limit of a record."""

    def __init__(self, topic: str, facts: TopicFacts | None, consumer: BatchConsumer, kind: LetterKind) -> None:
        """Use a consumer that has been started."""
        self.topic = topic
        self._read = kind.read
        self.partitions = 0 if facts is None else facts.partitions
        self.largest = 0 if facts is None else facts.max_message_bytes
        self._consumer = consumer

    async def spans(self) -> dict[int, Span]:
        """Return the offsets of the committed records, by partition."""
        tps = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        return {tp.partition: span for tp, span in (await spans(self._consumer, tps)).items()}

    async def entries(self, partition: int, span: Span) -> AsyncIterator[Letter | Settlement]:
        """Yield the records between two offsets, in order; raises KafkaError."""
        async for some in records(self._consumer, TopicPartition(self.topic, partition), span):
            for record in some:
                if (entry := self._read(partition, record)) is not None:
                    yield entry


@asynccontextmanager
async def shelf_of(connection: Connection, service: str, kind: LetterKind = DEAD_LETTERS) -> AsyncIterator[Shelf]:
    """Open the letters of a service; raises KafkaError and OSError."""
    topic = kind.topic(service)
    async with Cluster(connection) as cluster:
        facts = (await cluster.facts([topic])).get(topic)
    async with reader(connection) as consumer:
        yield Shelf(topic, facts, consumer, kind)


async def windows(
    shelf: Shelf, partition: int, span: Span, wanted: Callable[[Letter], bool]
) -> AsyncIterator[list[Letter | Settlement]]:
    """Yield the wanted letters, and what settles them, backwards from the end, in growing windows, without values."""
    end, size, first = span.end, FIRST_WINDOW, lowest(shelf, span)
    while end > first:
        begin = max(first, end - size)
        entries = [
            entry.summary() if isinstance(entry, Letter) else entry
            async for entry in shelf.entries(partition, Span(begin, end))
            if isinstance(entry, Settlement) or wanted(entry)
        ]
        yield entries[::-1]
        end, size = begin, min(2 * size, LARGEST_WINDOW)


def lowest(shelf: Shelf, span: Span) -> int:
    """Return the first offset to read."""
    return max(span.begin, span.end - MOST_RECORDS // shelf.partitions)
