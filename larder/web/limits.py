"""Limits what a request may contain and how long it may take, and turns each failure into a problem.

This is the outermost step of each request. Connections have limits of their own (`larder.web.connections`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web
from aiohttp.payload import Payload

from larder.config.errors import AppError, MistakeError
from larder.declaring.problems import Problem
from larder.queries.lookup_errors import LookupFailedError
from larder.queries.row_answers import measures
from larder.store import BehindError, NotHeldError, NotYetError, StoreError, TooStaleError
from larder.store.errors import (
    IndexBuildingError,
    InvalidRangeError,
    InvalidTokenError,
    LimitError,
    NoSuchIndexError,
    OtherTopicError,
)
from larder.web.responses import failed
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

log = logging.getLogger("larder")

REQUEST_SECONDS = 15.0
"""The time for a whole answer: longer than the longest wait that a client can request (`within`) and one hop."""

BIG_BYTES = 64 * 1024
"""What fits into the buffers of a connection is sent at once. The client has to read the rest in time."""

UNTIMED = web.AppKey("untimed", frozenset[object])
"""Handlers that limit their time themselves: their answers have no end, or take microseconds."""

BODIES = web.AppKey("bodies", frozenset[object])
"""Handlers that take a body."""

_WHERE = "see /openapi.json for the addresses"


class _Failure(NamedTuple):
    """The problem of a failure; `state` is that of the partition, if it is not that of its rows."""

    kind: str
    status: int = 0
    state: str = ""


_FAILURES: dict[type[StoreError], _Failure] = {
    BehindError: _Failure("behind"),
    TooStaleError: _Failure("too-stale"),
    NotHeldError: _Failure("not-here"),
    IndexBuildingError: _Failure("recovering", state="building"),
    InvalidRangeError: _Failure("mistake"),
    InvalidTokenError: _Failure("mistake"),
    LimitError: _Failure("mistake"),
    NoSuchIndexError: _Failure("mistake"),
    OtherTopicError: _Failure("mistake"),
}


@web.middleware
async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in time, and turn failures into problems."""
    elsewhere = request.match_info.http_exception is not None
    if request.body_exists and not elsewhere and request.match_info.handler not in request.app[BODIES]:
        asked = f"{request.method} {request.path}"
        problem = Problem(asked, "requires a request without a body", "one with a body", "leave it out")
        refused = failed(request, "mistake", problem, status=413)
        refused.force_close()
        return refused
    try:
        if request.match_info.handler in request.app[UNTIMED]:
            response = await _answered(request, handler)
        else:
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await _answered(request, handler)
        if isinstance(response, web.Response) and _size(response) > BIG_BYTES:
            async with asyncio.timeout(REQUEST_SECONDS):
                await response.prepare(request)
                await response.write_eof()
    except TimeoutError:
        if request.writer.output_size and request.transport is not None:
            # Half of the answer was sent, to a client that does not read the rest.
            request.transport.abort()
            raise
        asked = f"{request.method} {request.path}"
        problem = Problem(
            asked, f"requires an answer within {REQUEST_SECONDS:g} s", "none", "try again, or request less"
        )
        return failed(request, "too-busy", problem)
    return response


def _size(response: web.Response) -> int:
    body = response.body
    return (body.size or 0) if isinstance(body, Payload) else len(body or b"")


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AppError as error:
        return failed(request, "mistake" if isinstance(error, MistakeError) else "unavailable", error.problems[0])
    except LookupFailedError as error:
        return failed(request, error.kind, error.problem, extras=error.extras, retry_after=error.retry_after)
    except StoreError as error:
        failure = next((found for kind, found in _FAILURES.items() if isinstance(error, kind)), _Failure("defect", 503))
        extras = _where(request, error, failure) if isinstance(error, NotYetError) else {}
        return failed(request, failure.kind, error.problem, status=failure.status, extras=extras)
    except web.HTTPException as error:
        if error.status < web.HTTPBadRequest.status_code:
            raise
        asked = f"{request.method} {request.path}"
        problem = Problem(asked, "requires an address and a method of this port", error.reason, _WHERE)
        kind = "no-such-address" if error.status == web.HTTPNotFound.status_code else "mistake"
        refused = failed(request, kind, problem, status=error.status)
        if isinstance(error, web.HTTPMethodNotAllowed):
            refused.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return refused
    except TimeoutError:
        raise
    except Exception:
        asked = f"{request.method} {request.path}"
        log.exception("%s failed", asked)
        problem = Problem(asked, "requires a worker without defects", "one", "see its log, and report it")
        return failed(request, "defect", problem)


def _where(request: web.Request, error: NotYetError, failure: _Failure) -> dict[str, Any]:
    """Return the partition that is behind, and its position."""
    found = measures(error.state, sources(request).clock())
    return {"partition": error.state.partition, **found, "state": failure.state or found["state"]}
