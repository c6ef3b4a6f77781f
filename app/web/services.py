"""What this worker does, and who else is in its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.routing import is_mine
from app.web.answering import respond
from app.web.asking import Asked
from app.web.openapi import Operation
from app.web.sources import sources

if TYPE_CHECKING:
    from aiohttp import web

    from app.web.sources import Sources


async def services(request: web.Request) -> web.Response:
    """GET /services."""
    Asked(request, ())
    here = sources(request)
    peers = await here.directory.peers()
    workers = [
        {"worker": peer.worker, "web": peer.web, "partitions": peer.partitions, "standby": peer.standby}
        for peer in peers
    ]
    if all(peer.worker != here.worker for peer in peers):
        workers.append(_me(here))
    template = "recovery" if request.path == "/recovery" else "overview"
    return respond(request, {**here.status(), "workers": workers}, template)


def _me(here: Sources) -> dict[str, Any]:
    """Say what is here, of a worker that is in no group (yet)."""
    shared = {name: here.tables[name] for name in here.declared if here.tables[name].table.held == "partition"}
    return {
        "worker": here.worker,
        "web": here.address(),
        "partitions": {
            name: [each for each in held.table.partitions if is_mine(held, each)] for name, held in shared.items()
        },
        "standby": {
            name: [each for each in held.table.partitions if held.table.state(each).stands_by]
            for name, held in shared.items()
        },
    }


ADDRESSES = [("/services", services)]

OPERATIONS = {
    "/services": Operation("What this worker does, and who is in its service", (), "Services", (400,)),
}
