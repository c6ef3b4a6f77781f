"""Pages of letters of any kind for a request: the newest letters, and how many there are.

A thread with its own event loop reads them from their topic; the worker's loop only waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from larder.dead_letters.letters import text_of
from larder.dead_letters.reading import newest_letters
from larder.kafka.conversations import talk
from larder.web.openapi import parameter
from larder.web.scan_slots import ScanSlots
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from larder.dead_letters.letters import Letter
    from larder.dead_letters.pages import LetterPage
    from larder.dead_letters.shelves import LetterKind
    from larder.dead_letters.tallying import Tally
    from larder.web.parameters import Query

    T = TypeVar("T")

USUAL_LIMIT, LIMIT = 50, 1_000

READ_SECONDS = 8.0
"""For up to 100,000 records of the topic: less than the timeout of a request, and than a worker has to stop."""

PARAMETERS = ("limit", "cursor", "key")
"""The parameters of every list."""

_READERS = web.AppKey("readers", ScanSlots)


class LetterList(NamedTuple):
    """A page, the totals if it is the first one, and the key of the request."""

    page: LetterPage
    counts: Tally | None
    key: str | None


async def listed(request: web.Request, asked: Query, wanted: Callable[[Letter], bool], kind: LetterKind) -> LetterList:
    """Read the page of wanted letters for a request."""
    here = sources(request)
    limit, cursor, key = asked.whole("limit", USUAL_LIMIT, 1, LIMIT), asked.text("cursor"), asked.text("key")

    def takes(each: Letter) -> bool:
        return (key is None or text_of(each.key) == key) and wanted(each)

    page, counts = await read(
        request, lambda: newest_letters(here.connection, here.service, limit, cursor, takes, kind=kind)
    )
    return LetterList(page, counts, key)


async def read(request: web.Request, conversation: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Talk to the broker, two requests at a time; raises UnavailableError and TooBusyError."""
    with request.app[_READERS].one():
        return await asyncio.to_thread(lambda: talk(sources(request).connection, conversation(), READ_SECONDS))


def set_up(app: web.Application) -> None:
    """Limit how many requests read at once."""
    app[_READERS] = ScanSlots(2, "a reading of dead letters")


def described_parameters(key: str) -> tuple[dict[str, Any], ...]:
    """Describe the parameters of every list; `key` says which records it selects."""
    return (
        parameter("limit", f"how many at most, up to {LIMIT}; {USUAL_LIMIT} if not given", "integer"),
        parameter("cursor", "`next` of the answer before"),
        parameter("key", key),
    )
