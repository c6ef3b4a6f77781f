"""The web application of a worker: its addresses, and how its port opens and closes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from larder.config.errors import UnavailableError
from larder.declaring.problems import Problem
from larder.web import letter_lists, unsettled
from larder.web.connection_slots import CONNECTIONS, connections
from larder.web.context_check import within_context
from larder.web.fast_path import ShortWay
from larder.web.host_check import rightly_called
from larder.web.limits import UNTIMED, bounded
from larder.web.peers.client import HOPPING, Hopping
from larder.web.peers.row_waits import ROW_WAITS, RowWaits
from larder.web.routes import (
    calls,
    changes,
    dead_letters,
    observability,
    openapi,
    pages,
    refusals,
    requests,
    rows,
    services,
    tables,
    trace,
)
from larder.web.sources import SOURCES

if TYPE_CHECKING:
    from larder.observability.observer import Observed
    from larder.web.sources import Sources

# Seconds for requests in progress when the worker stops; a row takes less than a millisecond.
STOP_SECONDS = 0.5

_RUNNER = web.AppKey("runner", web.AppRunner)
_SERVERS = web.AppKey("servers", list[asyncio.Server])


def make_app(sources: Sources, seen: Observed | None = None) -> web.Application:
    """Return the application, which reads both at each request; without `seen`, it reports nothing about the worker."""
    app = web.Application(middlewares=[rightly_called, within_context, bounded])
    app[SOURCES] = sources
    app[HOPPING] = Hopping()
    app[ROW_WAITS] = RowWaits(sources, app[HOPPING])
    app[UNTIMED] = frozenset([*changes.UNTIMED, *rows.UNTIMED])
    for module in (rows, changes, tables, services, dead_letters, refusals, calls, trace, openapi, pages):
        for path, handler in module.ADDRESSES:
            app.router.add_get(path, handler)
    for module in (changes, letter_lists, pages, requests, trace, unsettled):
        module.set_up(app)
    if seen is not None:
        observability.set_up(app, seen)
    app[_RUNNER] = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    app[_SERVERS] = []
    return app


async def start_web(app: web.Application, host: str, port: int, places: int = CONNECTIONS) -> int:
    """Serve `places` clients until `stop_web`; return the port, a free one if `port` is 0.

    Raises `UnavailableError` if the address cannot be bound.
    """
    runner = app[_RUNNER]
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - made by `setup`
    seen = app.get(observability.OBSERVED)
    counted = None if seen is None else seen.requests
    protocols = connections(runner.server, ShortWay(app[SOURCES], counted), counted, places)
    try:
        server = await asyncio.get_running_loop().create_server(protocols, host, port)
    except OSError as error:
        await runner.cleanup()
        problem = Problem(
            f"web port {host}:{port}",
            "requires an address of this machine and a free port",
            error.strerror or str(error),
            "choose another with --web-port (0 takes a free one), or another web_host",
        )
        raise UnavailableError(problem) from error
    app[_SERVERS].append(server)
    return int(server.sockets[0].getsockname()[1])


async def stop_web(app: web.Application) -> None:
    """Stop the server of `start_web`, after answering requests in progress."""
    for server in app[_SERVERS]:
        server.close()
    changes.end(app)
    await app[ROW_WAITS].close()
    await app[_RUNNER].cleanup()
    await app[SOURCES].directory.close()
    await app[HOPPING].close()
