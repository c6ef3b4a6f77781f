"""The description of all addresses for programs, /openapi.json."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from larder.web.openapi import Operation, described_operations, description
from larder.web.openapi_requests import described_requests
from larder.web.routes import calls, changes, dead_letters, observability, refusals, rows, services, tables, trace
from larder.web.schemas import SCHEMAS
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.declaring.requests import Request


async def described(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    return web.Response(body=_body(tuple(sources(request).requests)), content_type="application/json")


@lru_cache(maxsize=1)
def _body(requests: tuple[Request, ...]) -> bytes:
    return msgspec.json.encode(whole(requests))


def whole(requests: Sequence[Request] = ()) -> dict[str, Any]:
    """Return the OpenAPI document of all addresses: those of every worker, and the requests that a service declares."""
    operations = {
        path: operation
        for module in (services, tables, rows, changes, dead_letters, refusals, calls, trace, observability)
        for path, operation in module.OPERATIONS.items()
    }
    paths, schemas = described_requests(requests)
    return description(
        {**described_operations({**operations, **OPERATIONS}), **paths},
        {**SCHEMAS, **schemas},
        metadata.version("larder-streams"),
    )


ADDRESSES = [("/openapi.json", described)]

OPERATIONS = {"/openapi.json": Operation("This description", (), "Description")}
