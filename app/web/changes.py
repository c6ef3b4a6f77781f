"""Live changes of a table, as server-sent events; the id of each says how far its reader is, so that it can go on.

Events: `start` (which partitions are watched), `row` (a row and where it comes from, or null for one that is gone), and
`reset` (what has been seen does not lead on to what comes: read the table again). A connection that takes no events in
time is dropped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from app.changes import Watches, encoded, id_text, read_id
from app.key_texts import encoded_key
from app.lists import Turns
from app.lookup import held_table
from app.web.asking import Asked, mistake, table_of
from app.web.openapi import Operation, parameter
from app.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.changes import Change, Ring
    from app.lookup import LocalTable

ALIVE_SECONDS = 10.0
"""Between two signs of life, so that what lies between does not end a silent connection."""

LOOK_SECONDS = 1.0
"""How long it may take to notice that partitions came or went while nothing changes."""

TAKE_SECONDS = 10.0
"""A client that takes nothing for so long is gone, or too slow."""

AT_ONCE = 200
"""Changes in one write."""

_WATCHES = web.AppKey("watches", Watches)


def set_up(app: web.Application) -> None:
    """Make the rings' place."""
    app[_WATCHES] = Watches()


def end(app: web.Application) -> None:
    """End all streams: the worker stops."""
    app[_WATCHES].end()


async def changes(request: web.Request) -> web.StreamResponse:
    """GET /tables/{table}/changes."""
    here = sources(request)
    asked = Asked(request, ("prefix",))
    held = held_table(here.tables, table_of(request))
    prefix = _prefix(held, asked.text("prefix"))
    watches = request.app[_WATCHES]
    with watches.watched(held) as ring:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        stream = _Stream(request, response, held, ring, prefix)
        try:
            await stream.begin(request.headers.get("Last-Event-ID"), here.worker)
            while not watches.ended and await stream.go_on():
                pass
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
    return response


def _prefix(held: LocalTable, text: str | None) -> bytes:
    if text is None:
        return b""
    if held.table.topic.key_type not in {str, bytes}:
        kind = held.table.topic.key_type.__name__
        raise mistake("prefix", "requires keys of text or bytes", kind, "leave it out")  # noqa: EM101 - a name
    return encoded_key(held.table.topic, text)


class _Stream:
    """One watcher: its place in the ring, and how far it has seen each partition."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, held: LocalTable, ring: Ring, prefix: bytes
    ) -> None:
        self._request = request
        self._response = response
        self._held = held
        self._ring = ring
        self._prefix = prefix
        self._number = ring.end
        self._positions: dict[int, int] = {}
        self._silent = 0.0

    async def begin(self, last: str | None, worker: str) -> None:
        """Go on behind the last event that was seen, if all since then is here; begin anew otherwise."""
        self._ring.look_again()
        seen = None if not last else read_id(last)
        self._number, self._positions = self._ring.end, self._ring.positions()
        text = b"retry: 1000\n"
        if seen is not None and self._ring.has_all_since(seen):
            self._number, self._positions = self._ring.first, seen
        elif last:
            text += _event("reset", {"why": "what came since is not kept here"}, self._positions)
        told = {"table": self._held.table.topic.name, "worker": worker, "partitions": sorted(self._positions)}
        await self._write(text + _event("start", told, self._positions))

    async def go_on(self) -> bool:
        """Write what is new, or a sign of life; gives whether there can be more."""
        if self._ring.look_again() or self._number < self._ring.first:
            why = {"why": "partitions came or went" if self._number >= self._ring.first else "too slow"}
            await self._write(_event("reset", why, self._ring.positions()))
            return False
        found = self._ring.since(self._number, AT_ONCE)
        self._number += len(found)
        turns = Turns()
        written = []
        for change in found:
            if (text := self._told(change)) is not None:
                written.append(text)
                await turns.pause()
        if written:
            await self._write(b"".join(written))
        elif not found:
            await self._wait()
        return True

    async def _wait(self) -> None:
        await self._ring.more(self._number, LOOK_SECONDS)
        self._silent += LOOK_SECONDS
        if self._silent >= ALIVE_SECONDS:
            await self._write(b": alive\n\n")

    def _told(self, change: Change) -> bytes | None:
        """Give the event of a change; None for one that was seen before, or that is not asked for."""
        if change.partition is not None and change.offset is not None:
            if change.offset < self._positions.get(change.partition, 0):
                return None
            self._positions[change.partition] = change.offset + 1
        if not change.key.startswith(self._prefix):
            return None
        return _framed("row", encoded(change, self._held), self._positions)

    async def _write(self, text: bytes) -> None:
        self._silent = 0.0
        async with asyncio.timeout(TAKE_SECONDS):
            await self._response.write(text)


def _event(name: str, data: Mapping[str, Any], positions: Mapping[int, int]) -> bytes:
    return _framed(name, msgspec.json.encode(data), positions)


def _framed(name: str, data: bytes, positions: Mapping[int, int]) -> bytes:
    # A row's JSON comes as its owner wrote it, perhaps over several lines; between tokens all of them are blank.
    lines = data.replace(b"\r\n", b" ").replace(b"\n", b" ").replace(b"\r", b" ")
    return f"id: {id_text(positions)}\nevent: {name}\ndata: ".encode() + lines + b"\n\n"


ADDRESSES = [("/tables/{table}/changes", changes)]
UNTIMED = [changes]

OPERATIONS = {
    "/tables/{table}/changes": Operation(
        "Live changes as server-sent events (row, reset, start), of the partitions here; goes on behind an id",
        (
            parameter("table", "name of the table", where="path"),
            parameter("prefix", "what keys begin with"),
            parameter("Last-Event-ID", "the id of the last event that was seen", where="header"),
        ),
        "Events",
        (400, 404, 503),
        "text/event-stream",
    )
}
