"""By which names a worker may be called: another site's page must not read it under a name of that site's.

The outermost step of each request; the short way leaves to it what calls the worker otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from larder.config.web_address import is_name_of
from larder.declaring.problems import Problem
from larder.web.responses import PROBLEM, problem_details
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


@web.middleware
async def rightly_called(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what calls this worker by a name that is not its own; of what there is, the refusal says nothing."""
    bound, host = sources(request).bound, request.headers.get("Host", "")
    if bound is None or is_name_of(host, bound):
        return await handler(request)
    problem = Problem(
        "header Host",
        "requires localhost, or the address that the worker listens at, while web_address is not set",
        repr(host[:200]),
        "ask there; where the worker is behind a proxy, or has a name, set web_address",
    )
    body = msgspec.json.encode(problem_details("misdirected", problem))
    refused = web.Response(body=body, status=web.HTTPMisdirectedRequest.status_code, content_type=PROBLEM)
    refused.force_close()
    return refused
