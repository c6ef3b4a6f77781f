"""One worker process: builds what a service needs from the settings, runs it, and stops it cleanly.

The composition root: the only place that knows declarations, engine, settings and web port together.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from larder.clock import now
from larder.config.declared import declared_services
from larder.config.errors import MistakeError, UnavailableError
from larder.config.web_address import bound_address, public_address
from larder.declaring.carried import carried_names
from larder.declaring.problems import Problem
from larder.group.faust_app import quiet
from larder.group.start_offsets import Fallback
from larder.local_tables.horizon import Remainder
from larder.observability.observer import Observed, looked_at
from larder.process import open_files, tuning
from larder.process.ending import Ending, told_to_stop
from larder.queries.directory import Directory
from larder.store.storage.memory import MIB, Memory
from larder.web import RemoteRows, Sources, make_app, start_web, stop_web
from larder.worker.options import Options
from larder.worker.runner import ServiceRunner, WorkerFailedError

if TYPE_CHECKING:
    from larder.config.settings import Settings
    from larder.declaring.service import Service

log = logging.getLogger("larder")


def run_worker(
    service: Service, settings: Settings, name: str, inputs_from: Fallback | None, tables_from: Remainder | None
) -> None:
    """Run until SIGTERM or SIGINT; raise any MistakeError before anything starts."""
    if service.has_state and settings.guarantee != "exactly_once":
        raise MistakeError(_uncertain(service, settings.guarantee))
    _log_to_stderr()
    try:
        with _named(settings.directory, service.name, name):
            uvloop.run(_work(service, settings, _options(settings, name, inputs_from, tables_from)))
    except OSError as error:
        if (told := _unwritable(settings.directory, error)) is None:
            raise
        raise told from error
    except WorkerFailedError as error:
        if (told := _unwritable(settings.directory, error.__cause__)) is not None:
            raise told from error
        log.error("%s", error, exc_info=error.__cause__)  # noqa: TRY400 - the cause has the trace that matters
        raise SystemExit(1) from error


def _unwritable(directory: Path, error: BaseException | None) -> UnavailableError | None:
    """Return the problem for an error about a file; None for any other error."""
    if not isinstance(error, OSError) or error.filename is None:
        return None
    problem = Problem(
        f"directory {directory}",
        "requires a directory that is writable",
        f"{error.strerror}: {error.filename}",
        "free some space, give this user write permission, or choose another directory (LARDER_DIRECTORY)",
    )
    return UnavailableError(problem)


def _uncertain(service: Service, guarantee: str) -> Problem:
    return Problem(
        f"service {service.name}",
        'a table of its own (decide, fold, call, rekeyed rows) requires guarantee = "exactly_once": an event that is'
        " read twice would be decided on twice",
        f'"{guarantee}"',
        "remove the setting, or move what needs it to another service",
    )


async def _work(service: Service, settings: Settings, options: Options) -> None:
    stop, ending = asyncio.Event(), Ending()
    told_to_stop(stop, ending)
    memory = Memory(settings.block_cache_mb * MIB, settings.write_buffer_mb * MIB)
    remote = RemoteRows(settings.connection, service.context)
    runner = ServiceRunner(service, options, memory, fetch=remote.row)
    name = options.worker
    allowed = open_files.raise_limit()
    warnings = [str(each) for each in (open_files.shortage(allowed),) if each is not None]
    declared = [use.name for use in service.tables]
    sources = Sources(
        runner.status,
        runner.runtime.named,
        settings.session_timeout_s,
        service.name,
        name,
        declared,
        Directory(runner.peers),
        lambda: runner.web,
        bound=None if settings.web_address else settings.web_host,
        connection=settings.connection,
        warnings=warnings,
        requests=service.requests,
        predicates=service.predicates,
        desk=runner.runtime.requests,
        context=service.context,
        carried=carried_names(service),
        services=lambda: list(declared_services(settings.modules).values()),
        calls=lambda: runner.runtime.service.calls,
    )
    observed = Observed(runner, memory, now, stall=settings.stall_s, warnings=warnings)
    web = make_app(sources, observed)
    port = await start_web(web, settings.web_host, settings.web_port, open_files.clients(allowed))
    address = bound_address(settings.web_host, port)
    log.info("worker %s of %s answers at %s", name, service.name, address)
    tuning.for_records()
    with _announced(settings.directory, service.name, name, address):
        try:
            async with looked_at(observed, stop):
                await runner.run(stop, public_address(settings.web_address, settings.web_host, port))
        except WorkerFailedError as error:
            ending.cause = error
            raise
        finally:
            ending.begin()
            await remote.close()
            await stop_web(web)


def _options(settings: Settings, name: str, inputs_from: Fallback | None, tables_from: Remainder | None) -> Options:
    return Options(
        connection=settings.connection,
        directory=settings.directory / "tables",
        worker=name,
        session_timeout=settings.session_timeout_s,
        heartbeat=settings.heartbeat,
        poll_interval=settings.poll_interval_s,
        commit_interval=settings.commit_interval_ms / 1000,
        guarantee=settings.guarantee,
        standby=settings.standby,
        on_stop=settings.on_stop,
        inputs_from=inputs_from,
        tables_from=tables_from,
        losses_accepted=settings.accept_lost_rows,
    )


@contextlib.contextmanager
def _named(directory: Path, service: str, name: str) -> Iterator[None]:
    """Hold a name and its directory exclusively: the lock ends with the process, however that ends."""
    path = directory / "workers" / service / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = Problem(
                f"worker {name} of {service}",
                f"requires a name that no other worker has in {directory}",
                "another process with this name",
                "stop that process, or give this worker another name (--name)",
            )
            raise MistakeError(problem) from None
        yield


@contextlib.contextmanager
def _announced(directory: Path, service: str, name: str, web: str) -> Iterator[None]:
    """Keep a small file while the worker runs, so that other commands find it."""
    path = directory / "workers" / service / f"{name}.json"
    path.write_bytes(msgspec.json.encode({"pid": os.getpid(), "web": web, "service": service, "worker": name}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)
    # A request that is not HTTP is answered; a client that sends many of them must not fill the log.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    quiet()
