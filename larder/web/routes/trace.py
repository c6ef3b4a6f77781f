"""The story of a key over all services that the loaded modules declare."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from larder.kafka.conversations import talk
from larder.tracing.reading import Wanted, tell
from larder.tracing.story import Story, described
from larder.tracing.times import SINCE, time_range
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query
from larder.web.responses import respond
from larder.web.scan_slots import ScanSlots
from larder.web.sources import sources

TELL_SECONDS: Final = 6.0
"""What is not read by then is left out of the story, which says so."""

READ_SECONDS: Final = 8.0
"""For a broker that does not answer: less than the timeout of a request, and than a worker has to stop."""

_TELLERS = web.AppKey("tellers", ScanSlots)


async def trace(request: web.Request) -> web.Response:
    """GET /trace."""
    asked, here = Query(request, ("key", "since", "until")), sources(request)
    times = time_range(asked.text("since"), asked.text("until"), here.clock())
    if (key := asked.text("key")) is None:
        nothing = Story("", *times, steps=(), traces=(), topics=0, records=0, missing=(), whole=True)
        return await respond(request, described(nothing), "trace")

    def read() -> Story:
        conversation = tell(here.connection, here.services(), Wanted(key, *times), seconds=TELL_SECONDS)
        return talk(here.connection, conversation, READ_SECONDS)

    with request.app[_TELLERS].one():
        story = await asyncio.to_thread(read)
    return await respond(request, described(story), "trace")


def set_up(app: web.Application) -> None:
    """Read for one request at a time."""
    app[_TELLERS] = ScanSlots(1, "the story of a key")


ADDRESSES = [("/trace", trace)]

OPERATIONS = {
    "/trace": Operation(
        "What all services wrote about a key, and what its traces lead to, in the order of time",
        (
            parameter("key", "the key of a record"),
            parameter("since", f"how long ago to begin, as in 90m, or a time; {SINCE} if not given"),
            parameter("until", "how long ago to end, or a time; now if not given"),
        ),
        "Story",
    ),
}
