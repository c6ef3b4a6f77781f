"""Whether the worker lives, and whether it is ready: asked by those who restart it, and who send it requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.web.answering import failed, respond
from app.web.openapi import Operation
from app.web.sources import sources
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from aiohttp import web


async def live(request: web.Request) -> web.Response:
    """GET /health/live."""
    return respond(request, {"live": True})


async def ready(request: web.Request) -> web.Response:
    """GET /health/ready."""
    here = sources(request)
    missing = here.ready()
    if not missing:
        return respond(request, {"ready": True})
    requires = "requires each table caught up once, and a place in the group"
    problem = Problem(f"worker {here.worker}", requires, "; ".join(missing), "wait: see /services for how far it is")
    return failed(request, "not-ready", problem)


ADDRESSES = [("/health/live", live), ("/health/ready", ready)]

OPERATIONS = {
    "/health/live": Operation("Whether the worker lives", (), "Live"),
    "/health/ready": Operation(
        "Whether each of its tables was caught up once, and it has its place in the group", (), "Ready", (503,)
    ),
}
