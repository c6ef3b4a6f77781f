"""Dead letters of the service, as its command has them: the newest ones, and all that is known of one.

They are read from their topic, in a thread with a loop of its own: that of the worker only waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from app.brokers import talk
from app.dead_letters.choosing import Chosen
from app.dead_letters.describing import described, described_whole
from app.dead_letters.letters import letter_id, text_of
from app.dead_letters.reading import letter, list_letters, survey_letters
from app.dead_letters.shelves import DEAD_LETTERS
from app.lookup import LookupFailedError
from app.web.answering import respond
from app.web.asking import Asked
from app.web.openapi import Operation, parameter
from app.web.scan_slots import ScanSlots
from app.web.sources import sources
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from app.dead_letters.letters import Letter
    from app.dead_letters.pages import Page
    from app.dead_letters.shelves import Kind
    from app.dead_letters.tallying import Tally

    T = TypeVar("T")

USUAL_LIMIT, LIMIT = 50, 1_000

READ_SECONDS = 8.0
"""For up to 100,000 records of the topic; below the time that a request has, and a worker that is told to stop."""

_READERS = web.AppKey("readers", ScanSlots)


class NoSuchLetterError(LookupFailedError):
    """Of the newest records of the topic none is that letter."""

    kind = "no-such-letter"


async def letters(request: web.Request) -> web.Response:
    """GET /dead-letters."""
    asked = Asked(request, ("limit", "cursor", "key", "topic", "cause"))
    limit, cursor, key = asked.whole("limit", USUAL_LIMIT, 1, LIMIT), asked.text("cursor"), asked.text("key")
    chosen = Chosen(None, asked.text("topic"), asked.text("cause"))

    def wanted(each: Letter) -> bool:
        return chosen.takes(each) and (key is None or text_of(each.key) == key)

    page, unsettled = await read_page(request, limit, cursor, wanted, DEAD_LETTERS)
    found = {
        "letters": [described(each) for each in page.letters],
        "next": page.next,
        "beyond": page.beyond,
        "unsettled": None if unsettled is None else unsettled.as_dict(),
    }
    return await respond(request, {**found, "key": key}, "dead-letters", long="letters")


async def one(request: web.Request) -> web.Response:
    """GET /dead-letters/{topic}/{partition}/{offset}."""
    Asked(request, ())
    here = sources(request)
    name = "/".join(request.match_info[part] for part in ("topic", "partition", "offset"))
    wanted = letter_id(name)
    found = await _read(request, lambda: letter(here.brokers, here.service, wanted))
    if found is None:
        requires = f"requires to be among the newest 100,000 records of {here.service}.dead-letters"
        raise NoSuchLetterError(Problem(f"dead letter {name}", requires, "no such letter", "see /dead-letters"))
    return await respond(request, described_whole(*found), "dead-letter")


async def read_page(
    request: web.Request, limit: int, cursor: str | None, wanted: Callable[[Letter], bool], kind: Kind
) -> tuple[Page, Tally | None]:
    """Read a page of letters, and what there is in all where it is the first one."""
    here = sources(request)

    async def read() -> tuple[Page, Tally | None]:
        if cursor is None:
            return await survey_letters(here.brokers, here.service, limit, wanted, kind=kind)
        return await list_letters(here.brokers, here.service, limit, cursor, wanted, kind=kind), None

    return await _read(request, read)


async def _read(request: web.Request, conversation: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Talk with the broker, two at a time; raises UnavailableError and TooBusyError."""
    with request.app[_READERS].one():
        return await asyncio.to_thread(lambda: talk(sources(request).brokers, conversation(), READ_SECONDS))


def set_up(app: web.Application) -> None:
    """Bound how many read at the same time."""
    app[_READERS] = ScanSlots(2, "a reading of dead letters")


ADDRESSES = [("/dead-letters", letters), ("/dead-letters/{topic}/{partition}/{offset}", one)]

OPERATIONS = {
    "/dead-letters": Operation(
        "The newest dead letters that are not settled",
        (
            parameter("limit", f"how many at most, up to {LIMIT}; {USUAL_LIMIT} if not given", "integer"),
            parameter("cursor", "`next` of the answer before"),
            parameter("key", "of records with this key alone"),
            parameter("topic", "of records of this topic alone"),
            parameter("cause", "those with this text in their cause, in any case"),
        ),
        "DeadLetters",
    ),
    "/dead-letters/{topic}/{partition}/{offset}": Operation(
        "A dead letter, by where its record lay",
        (
            parameter("topic", "of the record", where="path"),
            parameter("partition", "of the record", "integer", where="path"),
            parameter("offset", "of the record", "integer", where="path"),
        ),
        "DeadLetter",
        (404,),
    ),
}
