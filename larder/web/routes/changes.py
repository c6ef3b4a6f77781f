"""Live changes of a table as server-sent events; the id of each is a position to resume from.

Events: `start` (the watched partitions), `row` (a row and its coordinates, or null for a deleted one), and `reset`
(changes are missing: read the table again). The worker disconnects a client that does not read its events in time.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from larder.queries.changes import Watches
from larder.queries.event_stream import ServerSentEvent, framed
from larder.queries.key_texts import encoded_key
from larder.queries.lookup import held_table
from larder.queries.positions import positions_text
from larder.queries.watching import Watched
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, is_hop, mistake, table_of
from larder.web.peers.changes import everywhere
from larder.web.peers.client import EVENTS
from larder.web.sources import sources

if TYPE_CHECKING:
    from larder.local_tables.table import LocalTable
    from larder.queries.watching import EventSource

ALIVE_SECONDS = 10.0
"""The time between two comments, so that proxies do not close an idle connection."""

TAKE_SECONDS = 10.0
"""A client that reads nothing for this long is gone, or too slow."""

_WATCHES = web.AppKey("watches", Watches)


def set_up(app: web.Application) -> None:
    """Start without rings of changes."""
    app[_WATCHES] = Watches()


def end(app: web.Application) -> None:
    """End all streams, as the worker stops."""
    app[_WATCHES].end()


async def changes(request: web.Request) -> web.StreamResponse:
    """GET /tables/{table}/changes."""
    here = sources(request)
    asked = Query(request, ("prefix", "partition", "local"))
    held = held_table(here.tables, table_of(request))
    prefix = _prefix(held, asked.text("prefix"))
    only = asked.wholes("partition", 0, max(0, held.partition_count - 1))
    local = held.held == "global" or is_hop(request) or asked.flag("local")
    watches = request.app[_WATCHES]
    last = request.headers.get("Last-Event-ID", "")
    with watches.watched(held) as ring:
        ring.check_partitions()
        if local:
            partitions = only or held.partitions
            told: EventSource = Watched(held, ring, prefix, partitions, last)
        else:
            told = await everywhere(request, held, ring, prefix, last)
        response = web.StreamResponse(
            headers={"Content-Type": EVENTS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        try:
            async with told:
                await _write_all(response, watches, told, here.worker, held.topic.name)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
    return response


async def _write_all(
    response: web.StreamResponse, watches: Watches, told: EventSource, worker: str, table: str
) -> None:
    """Write events, with comments in between, until they end or the worker stops."""
    positions: dict[int, int] = {}
    alive = time.monotonic()
    text = b"retry: 1000\n"
    while not watches.ended and (events := await told.next()) is not None:
        for event in events:
            positions.update(event.positions)
            if event.name == "start":
                data = msgspec.json.encode({"table": table, "worker": worker, "partitions": sorted(positions)})
                event = event._replace(data=data)  # noqa: PLW2901 - the same one, with all that is watched
            text += framed(ServerSentEvent(event.name, event.data, positions_text(positions)))
        if not text and time.monotonic() - alive > ALIVE_SECONDS:
            text = b": alive\n\n"
        if text:
            async with asyncio.timeout(TAKE_SECONDS):
                await response.write(text)
            text, alive = b"", time.monotonic()


def _prefix(held: LocalTable, text: str | None) -> bytes:
    if text is None:
        return b""
    if held.topic.key_type not in {str, bytes}:
        kind = held.topic.key_type.__name__
        raise mistake("prefix", "requires keys of text or bytes", kind, "leave it out")  # noqa: EM101 - a name
    return encoded_key(held.topic, text)


ADDRESSES = [("/tables/{table}/changes", changes)]
UNTIMED = [changes]

OPERATIONS = {
    "/tables/{table}/changes": Operation(
        "Live changes as server-sent events (row, reset, start); Last-Event-ID resumes after an event",
        (
            parameter("table", "name of the table", where="path"),
            parameter("prefix", "what keys begin with"),
            parameter("local", "1: only of this worker's partitions", "integer"),
            parameter("partition", "with local=1: only of these partitions; may be repeated", "array"),
            parameter("Last-Event-ID", "the id of the last event received", where="header"),
        ),
        "Events",
        (404,),
        "text/event-stream",
    )
}
