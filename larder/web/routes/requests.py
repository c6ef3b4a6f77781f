"""Requests that change rows: taken by any worker, decided where the row lies, answered once that is committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from larder.declaring.compiled.requests import (
    LEAST_ONCE,
    MOST_ONCE,
    CompiledRequest,
    InvalidRequestError,
    KeyLengthError,
    NoIdError,
    compile_request,
)
from larder.declaring.outcomes import NotDecidableError, OtherValueError, Outcome, RequestFailedError
from larder.declaring.problems import Problem
from larder.kafka.partitioner import partition_of
from larder.operators.decides.requests import BusyError, NotHereError, UnknownOutcomeError
from larder.queries.key_texts import key_text
from larder.queries.paths import row_path
from larder.queries.routing import candidates
from larder.web.limits import BODIES
from larder.web.parameters import Query, is_hop
from larder.web.peers.client import hopping
from larder.web.responses import JSON, failed, passed_on
from larder.web.sources import SOURCES, sources

if TYPE_CHECKING:
    from larder.declaring.compiled.requests import ReadRequest
    from larder.declaring.requests import Request
    from larder.local_tables.table import LocalTable
    from larder.web.peers.client import Hopped

BODY_SECONDS = 10.0
"""The time for a whole body."""

MOVE_SECONDS = 3.0
"""How long a request is tried again while its partition moves from one worker to another."""

TRY_SECONDS = 0.1
"""The pause between two of these tries."""

DECIDE_SECONDS = 8.0
"""The time for a decision and its commit: a commit takes some milliseconds, and fails for good within seconds."""

ONCE: Final = "Idempotency-Key"
"""The header with which a request counts once (draft-ietf-httpapi-idempotency-key-header)."""

FAILURES: Final = {
    NoIdError: ("mistake", "requires an id, or a header Idempotency-Key", "send one of them"),
    KeyLengthError: (
        "mistake",
        f"requires {LEAST_ONCE} to {MOST_ONCE} characters, so that no two clients choose the same",
        "use a random UUID",
    ),
    InvalidRequestError: ("invalid", "requires a valid body", "change it; /openapi.json has its type"),
    NotHereError: ("not-here", "requires a worker that decides on its partition", "send it again"),
    BusyError: ("too-busy", "requires a turn in time", "send fewer at once, or add workers"),
    OtherValueError: ("invalid", "requires one body for each Idempotency-Key", "use another key for another request"),
    NotDecidableError: ("undecidable", "requires a function that can decide on it", "fix the service"),
    UnknownOutcomeError: (
        "unknown",
        "requires a decision that is known to be committed",
        "repeat it with the same Idempotency-Key, or look at the row",
    ),
}
"""The kind of problem of each failure, what the request requires, and what to do."""

MOVING: Final = frozenset({"not-here", "no-such-address", "no-such-table"})
"""The problems with which another worker answers if it did not take a request."""


def set_up(app: web.Application) -> None:
    """Add the addresses that the service declares."""
    taken = app[SOURCES].requests
    handlers = {each.path: _handler(compile_request(each)) for each in taken}
    for path, handler in handlers.items():
        app.router.add_post(path, handler)
    app[BODIES] = frozenset(handlers.values())


def _handler(compiled: CompiledRequest) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    declared = f"request {compiled.request.address}"

    async def handle(request: web.Request) -> web.StreamResponse:
        Query(request, ())
        if (problem := _foreign(request)) is not None:
            return failed(request, "forbidden", problem)
        if request.content_type != JSON:
            found = request.headers.get("Content-Type", "none")[:200]
            problem = Problem(f"header Content-Type of {declared}", f"requires {JSON}", found, "set it")
            return failed(request, "mistake", problem, status=web.HTTPUnsupportedMediaType.status_code)
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
        try:
            read = compiled.read(body, dict(request.match_info), request.headers.get(ONCE))
            return await _taken(request, compiled.request, read, body)
        except (InvalidRequestError, RequestFailedError) as error:
            kind, requires, do = FAILURES[type(error)]
            return failed(request, kind, Problem(declared, requires, str(error), do), status=error.status)

    return handle


def _foreign(request: web.Request) -> Problem | None:
    """Return why a request may come from a page of another site, which must not act for whoever looks at it."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site == "cross-site" or (origin is not None and urlsplit(origin).netloc != request.host):
        found = f"{(origin or site or '')[:200]!r}"
        return Problem("header Origin", "requires a page of this worker, or a program", found, "open the page here")
    return None


async def _taken(request: web.Request, declared: Request, read: ReadRequest, body: bytes) -> web.Response:
    """Decide here, or let the worker that has the partition decide; while it moves, try again."""
    here = sources(request)
    held = here.tables[declared.state.name]
    deadline = time.monotonic() + MOVE_SECONDS
    while True:
        partition = partition_of(read.key, held.partition_count) if held.partition_count else -1
        try:
            outcome = await here.desk.ask(declared.address, partition, read, seconds=DECIDE_SECONDS)
            return _decided(request, declared, held, read, outcome)
        except NotHereError:
            if is_hop(request) or time.monotonic() > deadline:
                raise
        if (hopped := await _elsewhere(request, held, partition, body)) is not None:
            return passed_on(request, hopped.body, hopped.status, hopped.headers)
        await asyncio.sleep(TRY_SECONDS)


async def _elsewhere(request: web.Request, held: LocalTable, partition: int, body: bytes) -> Hopped | None:
    """Return the answer of the worker that has the partition; None if nobody takes the request now."""
    here, topic = sources(request), held.stored.topic.name
    peers = await here.directory.peers(refresh=True)
    peer = next((each for each in candidates(peers, topic, partition, here.worker)), None)
    if peer is None or not peer.processes(topic, partition):
        return None
    answer = await hopping(request).post(peer, request.rel_url.raw_path, body, _kept(request), DECIDE_SECONDS + 1)
    return None if answer is None or answer.kind in MOVING else answer


def _kept(request: web.Request) -> Mapping[str, str]:
    """Return the headers that a request keeps on its way to another worker."""
    return {"Content-Type": JSON} | ({ONCE: request.headers[ONCE]} if ONCE in request.headers else {})


def _decided(
    request: web.Request, declared: Request, held: LocalTable, read: ReadRequest, outcome: Outcome
) -> web.Response:
    here, key = sources(request), key_text(declared.state.topic, read.key)
    if outcome.refusal is not None:
        problem = Problem(f"request {declared.address}", "is refused", outcome.refusal, "change it")
        refused = failed(request, "refused", problem, status=outcome.status, extras={"reason": outcome.refusal})
        refused.headers.update(_replayed(outcome))
        return refused
    found = {
        "table": declared.state.name,
        "key": key,
        "row": None if outcome.row is None else msgspec.Raw(outcome.row),
        "revision": outcome.revision,
        "partition": partition_of(read.key, held.partition_count),
        "worker": here.worker,
    }
    location = {"Location": row_path(declared.state.name, key)} if outcome.created else {}
    headers = {**_replayed(outcome), **location}
    return web.Response(body=msgspec.json.encode(found), status=outcome.status, content_type=JSON, headers=headers)


def _replayed(outcome: Outcome) -> Mapping[str, str]:
    return {"Idempotent-Replayed": "true"} if outcome.repeated else {}
