"""Checks the Host header: a page of another site must not read a worker under that site's name.

This is the outermost step of each request. The fast path leaves requests with another name to it.
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
    """Refuse requests with a foreign host name; the answer reveals nothing else."""
    bound, host = sources(request).bound, request.headers.get("Host", "")
    if bound is None or is_name_of(host, bound):
        return await handler(request)
    problem = Problem(
        "header Host",
        "requires localhost, or the address that the worker listens at, while web_address is not set",
        repr(host[:200]),
        "use that address; if the worker is behind a proxy, or has a name, set web_address",
    )
    body = msgspec.json.encode(problem_details("misdirected", problem))
    refused = web.Response(body=body, status=web.HTTPMisdirectedRequest.status_code, content_type=PROBLEM)
    refused.force_close()
    return refused
