"""What this worker reports about itself: its joins, its health and readiness, and its metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from larder.observability.joins import of_all
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, is_hop
from larder.web.peers.fan_out import told_by_others
from larder.web.responses import JSON, RETRY_SECONDS, respond
from larder.web.sources import sources

if TYPE_CHECKING:
    from larder.observability.health import HealthVerdict
    from larder.observability.observer import Observed

OBSERVED: web.AppKey[Observed] = web.AppKey("observed")


class _TheirJoins(msgspec.Struct):
    joins: list[dict[str, Any]]


async def joins(request: web.Request) -> web.Response:
    """GET /joins, of all workers."""
    asked = Query(request, ("local",))
    answers = {sources(request).worker: request.app[OBSERVED].joins()["joins"]}
    silent = []
    if not is_hop(request) and not asked.flag("local"):
        said = await told_by_others(request, "/joins", _TheirJoins)
        answers |= {worker: told.joins for worker, told in said.items() if told is not None}
        silent = [worker for worker, told in said.items() if told is None]
    return await respond(request, {"joins": of_all(answers), "silent": silent}, "joins")


async def topology(request: web.Request) -> web.Response:
    """GET /topology."""
    return await respond(request, request.app[OBSERVED].topology(), "topology")


async def live(request: web.Request) -> web.Response:
    """GET /health/live."""
    return _judged(request, "live", request.app[OBSERVED].live())


async def ready(request: web.Request) -> web.Response:
    """GET /health/ready."""
    return _judged(request, "ready", request.app[OBSERVED].ready())


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics."""
    observed = request.app[OBSERVED]
    # Writing thousands of lines takes longer than a slice, and does not need the engine.
    body = await asyncio.to_thread(observed.text, await observed.measured())
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _judged(request: web.Request, name: str, verdict: HealthVerdict) -> web.Response:
    """Answer with a status for probes, and with the reasons for people."""
    status = web.HTTPOk.status_code if verdict.good else web.HTTPServiceUnavailable.status_code
    body = msgspec.json.encode(request.app[OBSERVED].answer(name, verdict))
    headers = {} if verdict.good else {"Retry-After": str(RETRY_SECONDS)}
    return web.Response(body=body, status=status, content_type=JSON, headers=headers)


def set_up(app: web.Application, observed: Observed) -> None:
    """Answer from `observed`, and let it count the answers of the application."""
    app[OBSERVED] = observed
    app.middlewares.insert(0, observed.requests.middleware())
    for path, handler in ADDRESSES:
        app.router.add_get(path, handler)


ADDRESSES = [
    ("/joins", joins),
    ("/topology", topology),
    ("/health/live", live),
    ("/health/ready", ready),
    ("/metrics", metrics),
]

OPERATIONS = {
    "/joins": Operation(
        "The results of each join, by partition, with samples; of all workers",
        (parameter("local", "1: only of this worker, without asking others", "integer"),),
        "Joins",
    ),
    "/topology": Operation("What the service reads, keeps and writes, with this worker's rates", (), "Topology"),
    "/health/live": Operation("Whether nothing is stuck that a restart would fix", (), "Live", unwell=(503,)),
    "/health/ready": Operation(
        "Whether each of its tables was caught up once, and it has joined the group", (), "Ready", unwell=(503,)
    ),
    "/metrics": Operation("Metrics, in the text format of Prometheus", (), "Metrics", media="text/plain"),
}
