"""Lists and counts the letters of a service, and finds one: dead letters, or another kind.

Lists are bounded in letters and in records read, from the end backwards in windows. A letter that is written again long
after it was settled may be listed; a replay reads all records, and leaves it settled.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from larder.config.connection import Connection
from larder.dead_letters.letters import Letter, Settlement
from larder.dead_letters.pages import LetterPage, Newest, PartitionLetters, page, read_cursor
from larder.dead_letters.shelves import DEAD_LETTERS, LetterKind, Shelf, lowest, shelf_of, windows
from larder.dead_letters.tallying import counted, tally
from larder.declaring.coordinates import Coordinates
from larder.kafka.readers import Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from larder.dead_letters.tallying import Tally

TALLY_SECONDS = 3.0
"""The time for counting letters, of which there may be many: a page waits for it."""


async def list_letters(  # noqa: PLR0913 - where, which of them, and of what kind
    connection: Connection,
    service: str,
    limit: int,
    cursor: str | None = None,
    wanted: Callable[[Letter], bool] = lambda _: True,
    *,
    kind: LetterKind = DEAD_LETTERS,
) -> LetterPage:
    """Return the newest unsettled letters, from a cursor on; raises MistakeError, KafkaError and OSError."""
    before = {} if cursor is None else read_cursor(cursor)
    async with shelf_of(connection, service, kind) as shelf:
        ends = await shelf.spans()
        starts = {partition: min(span.end, before.get(partition, span.end)) for partition, span in ends.items()}

        def asked(each: Letter) -> bool:
            return each.place.offset < starts[each.place.partition] and wanted(each)

        found = {partition: await _newest(shelf, partition, span, limit + 1, asked) for partition, span in ends.items()}
    return page(found, limit, starts)


async def survey_letters(
    connection: Connection,
    service: str,
    limit: int,
    wanted: Callable[[Letter], bool] = lambda _: True,
    *,
    kind: LetterKind = DEAD_LETTERS,
) -> tuple[LetterPage, Tally]:
    """Return the first page and a count of all unsettled letters, in one read; raises KafkaError and OSError."""
    async with shelf_of(connection, service, kind) as shelf:
        spans = await shelf.spans()
        surveys = await _surveys(shelf, spans, _Sought(limit + 1, wanted), TALLY_SECONDS)
    starts = {partition: span.end for partition, span in spans.items()}
    found = {partition: each.found for partition, each in surveys.items()}
    return page(found, limit, starts), _tally(surveys.values(), kind)


async def newest_letters(  # noqa: PLR0913 - where, which of them, and of what kind
    connection: Connection,
    service: str,
    limit: int,
    cursor: str | None,
    wanted: Callable[[Letter], bool],
    *,
    kind: LetterKind = DEAD_LETTERS,
) -> tuple[LetterPage, Tally | None]:
    """Return a page of a list, and with the first page a count of all letters; raises the errors of `list_letters`."""
    if cursor is None:
        return await survey_letters(connection, service, limit, wanted, kind=kind)
    return await list_letters(connection, service, limit, cursor, wanted, kind=kind), None


async def tally_letters(connection: Connection, service: str, seconds: float = TALLY_SECONDS) -> Tally:
    """Count the unsettled letters, for a limited time; raises KafkaError and OSError."""
    return (await count_again(connection, service, None, seconds)).tally


class Counted(NamedTuple):
    """A tally, and the offsets of the topic that it covers."""

    spans: Mapping[int, Span]
    tally: Tally


async def count_again(
    connection: Connection, service: str, before: Counted | None, seconds: float = TALLY_SECONDS
) -> Counted:
    """Count as `tally_letters` does; return `before` if no record was written since."""
    async with shelf_of(connection, service) as shelf:
        spans = await shelf.spans()
        if before is not None and before.spans == spans:
            return before
        surveys = await _surveys(shelf, spans, _Sought(0, lambda _: False), seconds)
    return Counted(spans, _tally(surveys.values(), DEAD_LETTERS))


def _tally(surveys: Collection[_Survey], kind: LetterKind) -> Tally:
    every = chain.from_iterable(each.counted for each in surveys)
    return tally(every, whole=all(each.whole for each in surveys), subject=kind.subject)


async def letter(connection: Connection, service: str, wanted: Coordinates) -> tuple[Letter, Settlement | None] | None:
    """Return a letter with its value, and what settled it; None if it is not among the newest records.

    Raises KafkaError and OSError.
    """
    async with shelf_of(connection, service) as shelf:
        ends = await shelf.spans()
        # The partition in which workers of this version write it comes first.
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


async def _met(shelf: Shelf, partition: int, span: Span, wanted: Coordinates) -> AsyncIterator[Letter | Settlement]:
    """Return the newest letter with an id, and the entries after it."""
    async for window in windows(shelf, partition, span, lambda each: each.id == wanted):
        for entry in window:
            if entry.identity.id == wanted:
                yield entry
                if isinstance(entry, Letter):
                    return


async def _newest(
    shelf: Shelf, partition: int, span: Span, limit: int, wanted: Callable[[Letter], bool]
) -> PartitionLetters:
    newest = Newest()
    async for window in windows(shelf, partition, span, wanted):
        newest.take(window)
        if len(newest.letters) >= limit:
            return PartitionLetters(newest.letters[:limit], beyond=False)
    return PartitionLetters(newest.letters, beyond=lowest(shelf, span) > span.begin)


class _Sought(NamedTuple):
    """How many letters to find in each partition, and which."""

    limit: int
    takes: Callable[[Letter], bool]


class _Survey(NamedTuple):
    """A survey of one partition: its newest wanted letters, all letters to count, and whether all records were read."""

    found: PartitionLetters
    counted: list[Letter]
    whole: bool


async def _surveys(shelf: Shelf, spans: Mapping[int, Span], sought: _Sought, seconds: float) -> dict[int, _Survey]:
    until = time.monotonic() + seconds
    return {partition: await _survey(shelf, partition, span, sought, until) for partition, span in spans.items()}


async def _survey(shelf: Shelf, partition: int, span: Span, sought: _Sought, until: float) -> _Survey:
    """Look for the wanted letters for as long as it takes; count until the time is over."""
    newest, every, full = Newest(), Newest(), sought.limit == 0
    async for window in windows(shelf, partition, span, lambda _: True):
        every.take(counted(entry) if isinstance(entry, Letter) else entry for entry in window)
        if not full:
            newest.take(entry for entry in window if isinstance(entry, Settlement) or sought.takes(entry))
            full = len(newest.letters) >= sought.limit
        if full and time.monotonic() > until:
            return _Survey(PartitionLetters(newest.letters[: sought.limit], beyond=False), every.letters, whole=False)
    whole = lowest(shelf, span) <= span.begin
    return _Survey(
        PartitionLetters(newest.letters[: sought.limit], beyond=not full and not whole), every.letters, whole
    )
