"""Answers: JSON or a page, as the request prefers, and every failure as problem details (RFC 9457).

Besides the members of the RFC, a problem has the parts of `Problem` (declared, requires, found, do). It also has what
else is known: partition, state, position, end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiohttp import web

from larder import pages
from larder.declaring.compiled.requests import InvalidRequestError
from larder.declaring.outcomes import REFUSED, ConditionFailedError, NotDecidableError
from larder.web.chunked_json import Pieces, pieces
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.declaring.problems import Problem

JSON = "application/json"
PROBLEM = "application/problem+json"


class FailureKind(NamedTuple):
    """The kinds of failures, each with its default status."""

    title: str
    status: int


KINDS = {
    "no-such-key": FailureKind("There is no such key", 404),
    "unreadable-row": FailureKind("The newest record of the key is not a valid row", 404),
    "unreadable-state": FailureKind("The row of the key cannot be read", 503),
    "no-such-table": FailureKind("This service has no such table", 404),
    "no-such-letter": FailureKind("There is no such dead letter", 404),
    "no-such-call": FailureKind("There is no such call", 404),
    "unavailable": FailureKind("The broker does not answer", 503),
    "no-such-address": FailureKind("There is no such address", 404),
    "mistake": FailureKind("The request is invalid", 400),
    "misdirected": FailureKind("This worker has another name", 421),
    "other-context": FailureKind("A service of another context must not read here", 403),
    "forbidden": FailureKind("A page of another site must not do this", 403),
    "invalid": FailureKind("The body is not valid", InvalidRequestError.status),
    "refused": FailureKind("The service refuses the request", REFUSED),
    "changed": FailureKind("The row is not the one that the condition names", ConditionFailedError.status),
    "undecidable": FailureKind("The service cannot decide on the request", NotDecidableError.status),
    "unknown": FailureKind("It is unknown whether the request counts", 503),
    "not-here": FailureKind("Another worker holds it", 503),
    "recovering": FailureKind("It is not known yet", 503),
    "unserved": FailureKind("No worker serves it now", 503),
    "too-stale": FailureKind("The local copy is older than requested", 503),
    "behind": FailureKind("The write is not here yet", 503),
    "too-busy": FailureKind("Too many requests at once", 503),
    "defect": FailureKind("The worker has a defect", 500),
}

RETRY_SECONDS = 1
"""The default seconds until a retry."""


async def respond(request: web.Request, data: Mapping[str, Any], template: str, *, long: str = "") -> web.Response:
    """Answer with JSON, or with the page that `template` renders from the same data.

    `long` names a list in the data that may have megabytes.
    """
    if prefers_html(request):
        # In a thread, since it may take a hundred milliseconds: the loop gets the interpreter back within one.
        page = await asyncio.to_thread(_rendered, template, data, _context(request))
        return _html(page, web.HTTPOk.status_code, _VARY)
    body = Pieces(await pieces(data, long), JSON) if long else msgspec.json.encode(data)
    return web.Response(body=body, content_type=JSON, headers=_VARY)


def passed_on(request: web.Request, body: bytes, status: int, headers: Mapping[str, str]) -> web.Response:
    """Pass on the answer of another worker; if a page is wanted, render the failure."""
    if prefers_html(request):
        return _html(_rendered("error", msgspec.json.decode(body), _context(request)), status, {**_VARY, **headers})
    kind = JSON if status < web.HTTPBadRequest.status_code else PROBLEM
    return web.Response(body=body, status=status, content_type=kind, headers={**_VARY, **headers})


def failed(  # noqa: PLR0913 - the parts of a problem
    request: web.Request,
    kind: str,
    problem: Problem,
    *,
    status: int = 0,
    extras: Mapping[str, Any] | None = None,
    retry_after: int | None = None,
) -> web.Response:
    """Answer with a problem; a temporary one says after how many seconds to retry."""
    details = problem_details(kind, problem, status, extras or {})
    headers = dict(_VARY)
    if details["status"] == web.HTTPServiceUnavailable.status_code:
        headers["Retry-After"] = str(RETRY_SECONDS if retry_after is None else retry_after)
    if prefers_html(request):
        return _html(_rendered("error", details, _context(request)), details["status"], headers)
    body = msgspec.json.encode(details)
    return web.Response(body=body, status=details["status"], content_type=PROBLEM, headers=headers)


def problem_details(
    kind: str, problem: Problem, status: int = 0, extras: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the body, without the first word of `requires`, which is the name of the field."""
    title, usual = KINDS[kind]
    return {
        "type": f"urn:larder:{kind}",
        "title": title,
        "status": status or usual,
        "detail": _plain(str(problem)),
        **{name: _plain(text) for name, text in problem._asdict().items()},
        "requires": _plain(problem.requires.removeprefix("requires ")),
        **(extras or {}),
    }


def _plain(text: str) -> str:
    """Write bytes of a header that are not UTF-8 as escapes: JSON cannot have them."""
    return text.encode(errors="backslashreplace").decode()


def prefers_html(request: web.Request) -> bool:
    """Return whether the client wants a page instead of JSON: browsers ask for one, programs do not."""
    accepted = request.headers.get("Accept", "")
    if "text/html" not in accepted:
        return False
    weights = dict(map(_weighed, accepted.split(",")))
    anything = weights.get("*/*", 0.0)
    return weights.get("text/html", 0.0) > max(weights.get(JSON, anything), weights.get(PROBLEM, 0.0))


_VARY = {"Vary": "Accept"}


def _weighed(accepted: str) -> tuple[str, float]:
    kind, _, parameters = accepted.partition(";")
    _, _, weight = parameters.replace(" ", "").partition("q=")
    try:
        return kind.strip().lower(), float(weight or 1)
    except ValueError:
        return kind.strip().lower(), 0.0


def _rendered(template: str, data: Mapping[str, Any], context: pages.Context) -> bytes:
    return pages.render(template, data, context).encode()


def _html(body: bytes, status: int, headers: Mapping[str, str]) -> web.Response:
    headers = {**pages.HEADERS, **headers}
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)


def _context(request: web.Request) -> pages.Context:
    here = sources(request)
    return pages.Context(
        service=here.service,
        worker=here.worker,
        path=request.path_qs,
        at=here.clock(),
        tables=list(here.declared),
    )
