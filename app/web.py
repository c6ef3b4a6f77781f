"""A worker's web port: its local rows, what it is doing, and whether it lives. JSON only.

Turns decisions of `app.lookup` into statuses: 200 a row, 404 no such key for certain, 400 a key that cannot be one,
421 a table that this service has not, 503 not known here or not yet. Whoever is not sure never says 404. Keeps nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from app.errors import MistakeError, UnavailableError
from app.lookup import LocalTable, LookupFailedError, NoSuchKeyError, NoSuchTableError, NotSureError, look_up
from tables.declaring.problems import Problem
from tables.engine import StoreError
from tables.engine.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler

log = logging.getLogger("larder")

# Seconds that requests under way have when the worker stops; a row is answered in less than a millisecond.
STOP_SECONDS = 0.5

_RUNNER = web.AppKey("runner", web.AppRunner)


def make_app(
    status: Callable[[], dict[str, Any]],
    tables: Mapping[str, LocalTable],
    *,
    max_age: float,
    clock: Callable[[], float] = now,
) -> web.Application:
    """Make the application.

    `status` is asked at each request; `tables` are those of the service, by name. `max_age` in seconds (the session
    timeout): an absent key is called absent only while the partition's end was met no longer ago than that. `clock`
    gives seconds since 1970.
    """

    async def row(request: web.Request) -> web.Response:
        name, key = request.match_info["table"], _key(request)
        return _json(look_up(tables, name, key, now=clock(), max_age=max_age))

    async def services(_: web.Request) -> web.Response:
        return _json(status())

    async def live(_: web.Request) -> web.Response:
        return _json({"live": True})

    app = web.Application(middlewares=[_errors])
    app.router.add_get("/tables/{table}/rows/{key:[^/]*}", row)
    app.router.add_get("/services", services)
    app.router.add_get("/health/live", live)
    app[_RUNNER] = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    return app


async def start_web(app: web.Application, host: str, port: int) -> int:
    """Serve until `stop_web`; gives the port, which is a free one when `port` is 0.

    Raises `UnavailableError` when nothing can be bound there.
    """
    runner = app[_RUNNER]
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        problem = Problem(
            f"web port {host}:{port}",
            "requires an address of this machine and a port that nobody else has",
            error.strerror or str(error),
            "choose another with --web-port (0 takes a free one), or another web_host",
        )
        raise UnavailableError(problem) from error
    return int(runner.addresses[0][1])


async def stop_web(app: web.Application) -> None:
    """End what `start_web` began; requests under way are answered."""
    await app[_RUNNER].cleanup()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in the one form."""
    try:
        return await handler(request)
    except MistakeError as error:
        return _failed(error.problems[0], 400)
    except LookupFailedError as error:
        return _failed(error.problem, _STATUS[type(error)])
    except StoreError as error:
        return _failed(error.problem, 503)
    except web.HTTPException as error:
        asked = f"{request.method} {request.path}"
        return _failed(
            Problem(asked, "requires an address and a method of this port", error.reason, _WHERE), error.status
        )
    except Exception:
        asked = f"{request.method} {request.path}"
        log.exception("%s failed", asked)
        return _failed(Problem(asked, "requires a worker without defects", "one", "see its log, and report it"), 500)


_STATUS = {NoSuchKeyError: 404, NoSuchTableError: 421, NotSureError: 503}
_WHERE = "use GET /tables/{table}/rows/{key}, /services or /health/live"


def _key(request: web.Request) -> str:
    """Give the key that the path ends in; the router leaves bytes that are no UTF-8 percent-encoded, as if meant so."""
    raw = request.rel_url.raw_parts[-1]
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        problem = Problem(
            f"key {raw}", "requires UTF-8, percent-encoded", str(error), "write it so; bytes are written in base64url"
        )
        raise MistakeError(problem) from error


def _failed(problem: Problem, status: int) -> web.Response:
    """Answer with the parts of a problem; the word that opens `requires` is the field's name already."""
    return _json({**problem._asdict(), "requires": problem.requires.removeprefix("requires ")}, status)


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")
