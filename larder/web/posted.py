"""What a client posts: its headers are checked, its body is read. Nothing has happened if this fails."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from larder.config.errors import MistakeError
from larder.declaring.carried import carried_by_request
from larder.declaring.compiled.requests import CompiledRequest, ReadRequest
from larder.declaring.outcomes import RowCondition
from larder.declaring.problems import LarderError, Problem
from larder.web.parameters import fields_of
from larder.web.responses import JSON

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from larder.delivery.output import Headers

BODY_SECONDS = 10.0
"""The time for a whole body."""

ONCE: Final = "Idempotency-Key"
"""The header with which a request counts once (draft-ietf-httpapi-idempotency-key-header)."""

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
_REVISION: Final = re.compile(r'"([0-9]{1,19})"')


class UnacceptableError(LarderError):
    """A request that is not taken, with the kind of its problem and its status, if that is not the usual one."""

    def __init__(self, problem: Problem, kind: str, status: int = 0) -> None:
        """Keep them."""
        self.kind = kind
        self.problem = problem
        self.status = status
        super().__init__(str(problem))


class Posted(NamedTuple):
    """A request as it came, read; `condition` is what its row has to be like."""

    read: ReadRequest
    condition: RowCondition | None
    body: bytes
    kept: Mapping[str, str]
    """The headers that it keeps on its way to another worker."""
    carried: Headers
    """The headers that go along to what is decided, never those of Larder."""


async def posted(request: web.Request, compiled: CompiledRequest, carried: Collection[str]) -> Posted:
    """Read a request and its headers of these names; raise UnacceptableError, MistakeError or InvalidRequestError."""
    declared = f"request {compiled.request.address}"
    _require_own_site(request)
    if request.content_type != JSON:
        found = request.headers.get("Content-Type", "none")[:200]
        problem = Problem(f"header Content-Type of {declared}", f"requires {JSON}", found, "set it")
        raise UnacceptableError(problem, "mistake", web.HTTPUnsupportedMediaType.status_code)
    condition = _condition(request.headers)
    path = fields_of(request, compiled.request.path)
    body = await _body(request, declared)
    read = compiled.read(body, path, request.headers.get(ONCE))
    kept = {name: request.headers[name] for name in (ONCE, IF_MATCH, IF_NONE_MATCH) if name in request.headers}
    along = carried_by_request(request.headers, carried)
    return Posted(
        read,
        condition,
        body,
        {"Content-Type": JSON, **kept, **along},
        [(name, value.encode()) for name, value in along.items()],
    )


async def _body(request: web.Request, declared: str) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        requires, found, status = f"within {BODY_SECONDS:g} s", "a part of it", web.HTTPRequestTimeout.status_code
    except web.HTTPRequestEntityTooLarge:
        requires = f"of at most {request.client_max_size} bytes"
        found, status = "a larger one", web.HTTPRequestEntityTooLarge.status_code
    except (web.RequestPayloadError, ConnectionError) as error:
        requires, found, status = "that can be read", str(error), web.HTTPBadRequest.status_code
    problem = Problem(f"the body of {declared}", f"requires one {requires}", found, "change it")
    raise UnacceptableError(problem, "mistake", status)


def _require_own_site(request: web.Request) -> None:
    """Refuse a request from a page of another site, which must not act for whoever looks at it."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site == "cross-site" or (origin is not None and origin.partition("://")[2] != request.host):
        found = f"{(origin or site or '')[:200]!r}"
        problem = Problem("header Origin", "requires a page of this worker, or a program", found, "open the page here")
        raise UnacceptableError(problem, "forbidden")


def _condition(headers: Mapping[str, str]) -> RowCondition | None:
    """Return the condition in `If-Match` or `If-None-Match` (RFC 9110, section 13.1); raise MistakeError for others."""
    match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)):
        case (None, None):
            return None
        case (None, "*"):
            return RowCondition(exists=False)
        case ("*", None):
            return RowCondition(exists=True)
        case (str(text), None) if found := _REVISION.fullmatch(text):
            return RowCondition(exists=True, revision=int(found[1]))
        case (match, none_match):
            requires = f'requires the revision of the row in quotes, as in {IF_MATCH}: "7", or {IF_NONE_MATCH}: *'
            found_ = f"{IF_MATCH}: {(match or 'none')[:50]} and {IF_NONE_MATCH}: {(none_match or 'none')[:50]}"
            raise MistakeError(Problem("the condition of a request", requires, found_, "use one of these"))
