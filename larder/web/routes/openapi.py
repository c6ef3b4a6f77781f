"""The description of all addresses for programs, /openapi.json."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

import msgspec
from aiohttp import web

from larder.web.openapi import Operation, description
from larder.web.routes import changes, dead_letters, observability, refusals, rows, services, tables
from larder.web.schemas import SCHEMAS


async def described(_: web.Request) -> web.Response:
    """GET /openapi.json."""
    return web.Response(body=_body(), content_type="application/json")


@cache
def _body() -> bytes:
    return msgspec.json.encode(whole())


def whole() -> dict[str, Any]:
    """Return the OpenAPI document of all addresses."""
    operations = {
        path: operation
        for module in (services, tables, rows, changes, dead_letters, refusals, observability)
        for path, operation in module.OPERATIONS.items()
    }
    return description({**operations, **OPERATIONS}, SCHEMAS, metadata.version("larder-streams"))


ADDRESSES = [("/openapi.json", described)]

OPERATIONS = {"/openapi.json": Operation("This description", (), "Description")}
