"""Checks the header with which a service of the same context reads: across contexts, services share topics only.

The declarations of the reading service are checked before. This check also finds that the contexts have changed since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from larder.declaring.problems import Problem
from larder.web.responses import failed
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

CONTEXT: Final = "Larder-Context"
"""The header that names the context of the service that reads."""


@web.middleware
async def within_context(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse reads by a service of another context."""
    here, asked = sources(request), request.headers.get(CONTEXT)
    if asked is None or asked == here.context:
        return await handler(request)
    problem = Problem(
        f"context {asked[:100]!r}",
        f"requires the context of service {here.service}",
        "none" if here.context is None else here.context,
        "read its topics; or declare both services in one context, and restart the workers of both",
    )
    return failed(request, "other-context", problem)
