"""The web application of a worker: which addresses there are, and how its port is opened and closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from app.errors import UnavailableError
from app.web import (
    changes,
    dead_letters,
    describing,
    letter_lists,
    observed,
    pages,
    refusals,
    rows,
    services,
    tables,
    unsettled,
)
from app.web.hopping import HOPPING, Hopping
from app.web.limits import UNTIMED, bounded
from app.web.names import rightly_called
from app.web.places import CONNECTIONS, connections
from app.web.short_way import ShortWay
from app.web.sources import SOURCES
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from app.observing import Observed
    from app.web.sources import Sources

# Seconds that requests under way have when the worker stops; a row is answered in less than a millisecond.
STOP_SECONDS = 0.5

_RUNNER = web.AppKey("runner", web.AppRunner)
_SERVERS = web.AppKey("servers", list[asyncio.Server])


def make_app(sources: Sources, seen: Observed | None = None) -> web.Application:
    """Make the application; it reads both at each request. Without `seen` the worker tells nothing of itself."""
    app = web.Application(middlewares=[rightly_called, bounded])
    app[SOURCES] = sources
    app[HOPPING] = Hopping()
    app[UNTIMED] = frozenset([*changes.UNTIMED, *rows.UNTIMED])
    for module in (rows, changes, tables, services, dead_letters, refusals, describing, pages):
        for path, handler in module.ADDRESSES:
            app.router.add_get(path, handler)
    for module in (changes, letter_lists, pages, unsettled):
        module.set_up(app)
    if seen is not None:
        observed.set_up(app, seen)
    app[_RUNNER] = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    app[_SERVERS] = []
    return app


async def start_web(app: web.Application, host: str, port: int, places: int = CONNECTIONS) -> int:
    """Serve `places` clients until `stop_web`; gives the port, which is a free one when `port` is 0.

    Raises `UnavailableError` when nothing can be bound there.
    """
    runner = app[_RUNNER]
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - made by `setup`
    seen = app.get(observed.OBSERVED)
    requests = None if seen is None else seen.requests
    protocols = connections(runner.server, ShortWay(app[SOURCES], requests), requests, places)
    try:
        server = await asyncio.get_running_loop().create_server(protocols, host, port)
    except OSError as error:
        await runner.cleanup()
        problem = Problem(
            f"web port {host}:{port}",
            "requires an address of this machine and a port that nobody else has",
            error.strerror or str(error),
            "choose another with --web-port (0 takes a free one), or another web_host",
        )
        raise UnavailableError(problem) from error
    app[_SERVERS].append(server)
    return int(server.sockets[0].getsockname()[1])


async def stop_web(app: web.Application) -> None:
    """End what `start_web` began; requests under way are answered."""
    for server in app[_SERVERS]:
        server.close()
    changes.end(app)
    await app[_RUNNER].cleanup()
    await app[SOURCES].directory.close()
    await app[HOPPING].close()
