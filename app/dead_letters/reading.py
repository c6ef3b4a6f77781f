"""Reads the dead letters of a service from outside: committed records alone, in no consumer group.

Lists are bounded: so many letters, out of so many of the newest records, read in windows from the end backwards. A
letter that is parked again long after it was settled may be listed; who replays reads all, and knows better.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka.structs import TopicPartition

from agents.declaring.facts import dead_letters_name
from agents.engine.cluster import Cluster
from app.dead_letters.letters import Letter, LetterId, Settlement, read_record
from app.dead_letters.pages import Found, Newest, Page, page, read_cursor
from app.dead_letters.records import Span, records, spans
from app.dead_letters.tallying import counted, tally
from app.readers import reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agents.declaring.facts import TopicFacts
    from agents.engine.fetching import BatchConsumer
    from app.dead_letters.tallying import Tally

MOST_RECORDS = 100_000
"""Looked at for one answer, the newest ones of all partitions: a second or two of reading."""

FIRST_WINDOW, LARGEST_WINDOW = 500, 10_000
"""Records: what a page mostly needs, and what of them is held at a time, without their values."""

TALLY_SECONDS = 3.0
"""For counting letters, which may be large: whoever looks at a page waits for it."""


class Shelf:
    """The topic of a service's dead letters: its partitions, 0 while there is none, and the largest record it takes."""

    def __init__(self, topic: str, facts: TopicFacts | None, consumer: BatchConsumer) -> None:
        """Read with a consumer that is started."""
        self.topic = topic
        self.partitions = 0 if facts is None else facts.partitions
        self.largest = 0 if facts is None else facts.max_message_bytes
        self._consumer = consumer

    async def spans(self) -> dict[int, Span]:
        """Give the offsets of what is committed, by partition."""
        tps = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        return {tp.partition: span for tp, span in (await spans(self._consumer, tps)).items()}

    async def entries(self, partition: int, span: Span) -> AsyncIterator[Letter | Settlement]:
        """Read what lies between two offsets, in its order; raises KafkaError."""
        async for some in records(self._consumer, TopicPartition(self.topic, partition), span):
            for record in some:
                if (entry := read_record(partition, record)) is not None:
                    yield entry


@asynccontextmanager
async def shelf_of(brokers: str, service: str) -> AsyncIterator[Shelf]:
    """Have the dead letters of a service to read; raises KafkaError and OSError."""
    topic = dead_letters_name(service)
    async with Cluster(brokers) as cluster:
        facts = (await cluster.facts([topic])).get(topic)
    async with reader(brokers) as consumer:
        yield Shelf(topic, facts, consumer)


async def list_letters(
    brokers: str,
    service: str,
    limit: int,
    cursor: str | None = None,
    wanted: Callable[[Letter], bool] = lambda _: True,
) -> Page:
    """Give the newest letters that are not settled, from a cursor on; raises MistakeError, KafkaError and OSError."""
    before = {} if cursor is None else read_cursor(cursor)
    async with shelf_of(brokers, service) as shelf:
        ends = await shelf.spans()
        starts = {partition: min(span.end, before.get(partition, span.end)) for partition, span in ends.items()}

        def asked(each: Letter) -> bool:
            return each.place.offset < starts[each.place.partition] and wanted(each)

        found = {partition: await _newest(shelf, partition, span, limit + 1, asked) for partition, span in ends.items()}
    return page(found, limit, starts)


async def tally_letters(brokers: str, service: str, seconds: float = TALLY_SECONDS) -> Tally:
    """Count the letters that are not settled, as far as that takes so long; raises KafkaError and OSError."""
    until = time.monotonic() + seconds
    letters: list[Letter] = []
    whole = True
    async with shelf_of(brokers, service) as shelf:
        for partition, span in (await shelf.spans()).items():
            newest = Newest()
            async for window in _windows(shelf, partition, span, lambda _: True):
                newest.take(counted(entry) if isinstance(entry, Letter) else entry for entry in window)
                if time.monotonic() > until:
                    whole = False
                    break
            whole = whole and _lowest(shelf, span) <= span.begin
            letters += newest.letters
    return tally(letters, whole=whole)


async def letter(brokers: str, service: str, wanted: LetterId) -> tuple[Letter, Settlement | None] | None:
    """Give a letter with its value, and what settled it; None where it is not among the newest records.

    Raises KafkaError and OSError.
    """
    async with shelf_of(brokers, service) as shelf:
        ends = await shelf.spans()
        # Where a worker of today puts it comes first.
        for partition in sorted(ends, key=lambda each: each != wanted.partition % shelf.partitions):
            met = [each async for each in _met(shelf, partition, ends[partition], wanted)]
            if met and isinstance(found := met[-1], Letter):
                settled = next((each for each in met if each.identity == found.identity), None)
                whole = [each async for each in shelf.entries(partition, _alone(found))]
                if whole and isinstance(whole[0], Letter):
                    return whole[0], settled if isinstance(settled, Settlement) else None
    return None


def _alone(found: Letter) -> Span:
    return Span(found.place.offset, found.place.offset + 1)


async def _met(shelf: Shelf, partition: int, span: Span, wanted: LetterId) -> AsyncIterator[Letter | Settlement]:
    """Give the newest letter of an id, the last one, and what lies behind it."""
    async for window in _windows(shelf, partition, span, lambda each: each.id == wanted):
        for entry in window:
            if entry.identity.id == wanted:
                yield entry
                if isinstance(entry, Letter):
                    return


async def _newest(shelf: Shelf, partition: int, span: Span, limit: int, wanted: Callable[[Letter], bool]) -> Found:
    newest = Newest()
    async for window in _windows(shelf, partition, span, wanted):
        newest.take(window)
        if len(newest.letters) >= limit:
            return Found(newest.letters[:limit], beyond=False)
    return Found(newest.letters, beyond=_lowest(shelf, span) > span.begin)


async def _windows(
    shelf: Shelf, partition: int, span: Span, wanted: Callable[[Letter], bool]
) -> AsyncIterator[list[Letter | Settlement]]:
    """Read wanted letters, and what settles any, backwards from the end, in windows that grow, and without values."""
    end, size, lowest = span.end, FIRST_WINDOW, _lowest(shelf, span)
    while end > lowest:
        begin = max(lowest, end - size)
        entries = [
            entry.summary() if isinstance(entry, Letter) else entry
            async for entry in shelf.entries(partition, Span(begin, end))
            if isinstance(entry, Settlement) or wanted(entry)
        ]
        yield entries[::-1]
        end, size = begin, min(2 * size, LARGEST_WINDOW)


def _lowest(shelf: Shelf, span: Span) -> int:
    return max(span.begin, span.end - MOST_RECORDS // shelf.partitions)
