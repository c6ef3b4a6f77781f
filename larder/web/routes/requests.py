"""Requests that change rows: taken by any worker, decided where the row lies, answered once that is committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from larder.declaring.compiled.requests import (
    LEAST_ONCE,
    MOST_ONCE,
    CompiledRequest,
    InvalidRequestError,
    NoIdError,
    OnceKeyError,
    compile_request,
)
from larder.declaring.counted_requests import NO_ROW
from larder.declaring.outcomes import (
    ConditionFailedError,
    NotDecidableError,
    OtherValueError,
    Outcome,
    RequestFailedError,
)
from larder.declaring.problems import Problem
from larder.kafka.partitioner import partition_of
from larder.operators.decides.requests import BusyError, NotDecidedHereError, UnknownOutcomeError
from larder.queries.key_texts import encoded_key, key_text
from larder.queries.paths import row_path
from larder.queries.routing import candidates
from larder.store import Token
from larder.web.limits import BODIES, UNTIMED
from larder.web.parameters import Query, is_hop
from larder.web.peers.client import KEPT_HEADERS, hopping
from larder.web.peers.row_waits import PredicateFailedError, RowWait, is_gone, row_waits
from larder.web.posted import Posted, UnacceptableError, posted
from larder.web.responses import JSON, failed, passed_on
from larder.web.sources import SOURCES, sources
from larder.web.until import PARAMETERS, until_of

if TYPE_CHECKING:
    from larder.declaring.requests import Request
    from larder.local_tables.table import LocalTable
    from larder.web.peers.client import Hopped
    from larder.web.until import Until

MOVE_SECONDS = 3.0
"""How long a request is tried again while its partition moves from one worker to another."""

TRY_SECONDS = 0.1
"""The pause between two of these tries."""

DECIDE_SECONDS = 8.0
"""The time for a decision and its commit: a commit takes some milliseconds, and fails for good within seconds."""

FAILURES: Final = {
    NoIdError: ("mistake", "requires an id, or a header Idempotency-Key", "send one of them"),
    OnceKeyError: (
        "mistake",
        f"requires {LEAST_ONCE} to {MOST_ONCE} characters of ASCII, so that no two clients choose the same",
        "use a random UUID",
    ),
    InvalidRequestError: ("invalid", "requires a valid body", "change it; /openapi.json has its type"),
    NotDecidedHereError: ("not-here", "requires a worker that decides on its partition", "send it again"),
    BusyError: ("too-busy", "requires a turn in time", "send fewer at once, or add workers"),
    ConditionFailedError: ("changed", "requires the row that its condition names", "read the row again"),
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


class DecidedAnswer(msgspec.Struct):
    """The answer to a request that was decided; `token` is for `after=` of later reads."""

    table: str
    key: str
    row: msgspec.Raw
    revision: int | None
    partition: int
    worker: str
    token: str | None


def set_up(app: web.Application) -> None:
    """Add the addresses that the service declares."""
    taken = app[SOURCES].requests
    handlers = {each.path: _handler(compile_request(each)) for each in taken}
    for path, handler in handlers.items():
        app.router.add_post(path, handler)
    app[BODIES] = frozenset(handlers.values())
    # A request has deadlines of its own for its body, its decision and its wait.
    app[UNTIMED] = frozenset([*app[UNTIMED], *handlers.values()])


def _handler(compiled: CompiledRequest) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    declared = f"request {compiled.request.address}"

    async def handle(request: web.Request) -> web.StreamResponse:
        until = until_of(Query(request, PARAMETERS), sources(request), compiled.request.state.name)
        try:
            came = await posted(request, compiled, sources(request).carried)
            answer = await _taken(request, compiled.request, came)
            if until is not None and answer.status < web.HTTPBadRequest.status_code:
                return await _when_satisfied(request, compiled.request, until, answer)
        except UnacceptableError as error:
            return failed(request, error.kind, error.problem, status=error.status)
        except (InvalidRequestError, RequestFailedError) as error:
            kind, requires, do = FAILURES[type(error)]
            return failed(request, kind, Problem(declared, requires, str(error), do), status=error.status)
        except PredicateFailedError as error:
            problem = Problem(declared, "requires a predicate that can decide", str(error), "do not wait; it counts")
            return failed(request, "undecidable", problem)
        return answer

    return handle


async def _taken(request: web.Request, declared: Request, came: Posted) -> web.Response:
    """Decide here, or let the worker that has the partition decide; while it moves, try again."""
    here, read = sources(request), came.read
    deadline = time.monotonic() + MOVE_SECONDS
    while True:
        # The one of now: the service may be scaled meanwhile.
        held = here.tables[declared.state.name]
        try:
            asked = here.desk.ask(declared.address, read, came.condition, came.carried, seconds=DECIDE_SECONDS)
            return _decided(request, declared, held, read.key, await asked)
        except NotDecidedHereError:
            if is_hop(request) or time.monotonic() > deadline:
                raise
        if held.partition_count and (hopped := await _elsewhere(request, held, came)) is not None:
            return passed_on(request, hopped.body, hopped.status, hopped.headers)
        await asyncio.sleep(TRY_SECONDS)


async def _elsewhere(request: web.Request, held: LocalTable, came: Posted) -> Hopped | None:
    """Return the answer of the worker that has the partition; None if nobody takes the request now."""
    here, topic = sources(request), held.stored.topic.name
    partition = partition_of(came.read.key, held.partition_count)
    peers = await here.directory.peers(refresh=True)
    peer = next((each for each in candidates(peers, topic, partition, here.worker)), None)
    if peer is None or not peer.processes(topic, partition):
        return None
    path = request.rel_url.raw_path
    answer = await hopping(request).post(peer, path, came.body, came.kept, DECIDE_SECONDS + 1)
    return None if answer is None or answer.kind in MOVING else answer


def _decided(request: web.Request, declared: Request, held: LocalTable, place: bytes, outcome: Outcome) -> web.Response:
    if outcome.refusal is not None:
        problem = Problem(f"request {declared.address}", "is refused", outcome.refusal, "change it")
        refused = failed(request, "refused", problem, status=outcome.status, extras={"reason": outcome.refusal})
        refused.headers.update(_replayed(outcome))
        return refused
    key, partition = key_text(declared.state.topic, place), partition_of(place, held.partition_count)
    found = DecidedAnswer(
        declared.state.name,
        key,
        NO_ROW if outcome.row is None else msgspec.Raw(outcome.row),
        outcome.revision,
        partition,
        sources(request).worker,
        _token(held, partition, outcome.end),
    )
    location = {"Location": row_path(declared.state.name, key)} if outcome.created else {}
    headers = {**_replayed(outcome), **location}
    return web.Response(body=msgspec.json.encode(found), status=outcome.status, content_type=JSON, headers=headers)


def _token(held: LocalTable, partition: int, end: int | None) -> str | None:
    return None if end is None or held.topic_id is None else Token(held.topic_id, {partition: end - 1}).text()


def _replayed(outcome: Outcome) -> Mapping[str, str]:
    return {"Idempotent-Replayed": "true"} if outcome.repeated else {}


async def _when_satisfied(request: web.Request, declared: Request, until: Until, answer: web.Response) -> web.Response:
    """Answer once the row satisfies the predicate, from the decision on; with 202 once the time is over."""
    held, decided = sources(request).tables[declared.state.name], _read(answer)
    key, known = encoded_key(held.topic, decided.key), decided.row != NO_ROW
    wait = RowWait(held, key, decided.key, until.predicate, decided.token, existed=known)
    if not known or wait.satisfied_by(bytes(decided.row)):
        return answer
    # Without a token it is not known from where on a row is newer than the decision.
    seconds = 0.0 if decided.token is None else until.seconds
    satisfied = await row_waits(request).wait(wait, seconds, lambda: is_gone(request))
    if satisfied is None or wait.last is None:
        query = [*until.query(), *([] if decided.token is None else [("after", decided.token)])]
        headers = {"Location": f"{row_path(declared.state.name, decided.key)}?{urlencode(query)}"}
        return web.Response(body=answer.body, status=web.HTTPAccepted.status_code, content_type=JSON, headers=headers)
    decided.row = NO_ROW if wait.last.row is None else msgspec.Raw(wait.last.row)
    decided.revision = wait.last.revision
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    return web.Response(body=msgspec.json.encode(decided), status=answer.status, content_type=JSON, headers=headers)


def _read(answer: web.Response) -> DecidedAnswer:
    body = answer.body
    assert isinstance(body, bytes)  # noqa: S101 - made here or by another worker
    return msgspec.json.decode(body, type=DecidedAnswer)
