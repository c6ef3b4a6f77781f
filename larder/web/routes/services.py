"""What this worker does, and the other workers of its service, with their own reports if requested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.queries.routing import is_mine
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, is_hop
from larder.web.peers.fan_out import told_by_others
from larder.web.responses import prefers_html, respond
from larder.web.sources import sources
from larder.web.unsettled import told_unsettled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from larder.web.sources import Sources

NO_ANSWER = "no answer"
"""The phase of a worker that did not answer."""


async def services(request: web.Request) -> web.Response:
    """GET /services."""
    asked = Query(request, ("all",))
    here = sources(request)
    peers = here.directory.known if is_hop(request) else await here.directory.peers()
    workers: list[dict[str, Any]] = [
        {"worker": peer.worker, "web": peer.web, "partitions": peer.partitions, "standby": peer.standby}
        for peer in peers
    ]
    if all(peer.worker != here.worker for peer in peers):
        workers.append(_me(here))
    status = {**here.status(), "warnings": list(here.warnings), "workers_known": bool(peers)}
    if not is_hop(request) and (asked.flag("all") or prefers_html(request)):
        said = {here.worker: status, **await _said_by_others(request)}
        workers = [
            _with(worker, said.get(worker["worker"]), mine=worker["worker"] == here.worker) for worker in workers
        ]
        status = {**status, "unsettled": await told_unsettled(request)}
    template = "recovery" if request.path == "/recovery" else "overview"
    return await respond(request, {**status, "workers": workers}, template)


async def _said_by_others(request: web.Request) -> dict[str, Mapping[str, Any] | None]:
    """Return the reports of the other workers; None if no worker, or another one, answers at an address."""
    service = sources(request).service
    said = await told_by_others(request, "/services", dict[str, Any])
    return {
        name: status if status and (status.get("service"), status.get("worker")) == (service, name) else None
        for name, status in said.items()
    }


def _with(worker: Mapping[str, Any], status: Mapping[str, Any] | None, *, mine: bool) -> dict[str, Any]:
    """Add the report of a worker; the answer already has this worker's own."""
    told = None if status is None or mine else {name: each for name, each in status.items() if name != "workers"}
    return {**worker, "phase": NO_ANSWER if status is None else status["phase"], "told": told}


def _me(here: Sources) -> dict[str, Any]:
    """Describe a worker that is not in a group (yet)."""
    tables = [here.tables[name] for name in here.declared]
    shared = {table.stored.topic.name: table for table in tables if table.held == "partition"}
    return {
        "worker": here.worker,
        "web": here.address(),
        "partitions": {
            name: [each for each in held.partitions if is_mine(held, each)] for name, held in shared.items()
        },
        "standby": {
            name: [each for each in held.partitions if held.state(each).stands_by] for name, held in shared.items()
        },
    }


ADDRESSES = [("/services", services)]

OPERATIONS = {
    "/services": Operation(
        "What this worker does, and the workers of its service",
        (parameter("all", "1: with the report of each other worker, or that it does not answer", "integer"),),
        "Services",
    ),
}
