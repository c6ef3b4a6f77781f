"""The demo's worker processes: started with the public command, watched, and stopped. Their logs are files.

Each runs in a session of its own, so that Ctrl-C in the terminal reaches the demo alone, which stops them in its order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from larder.config.errors import AppError
from larder.declaring.problems import Problem
from larder.local_broker.failures import log_tail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from larder.demo.declared import Demo

# Seconds for a clean stop; it takes 1 to 2.
STOP_SECONDS = 10.0


class WorkerRole(NamedTuple):
    """Which service a worker runs, and under which name."""

    service: str
    name: str


def roles(demo: Demo) -> list[WorkerRole]:
    """Give the workers of a demo: shipping-1, shipping-2, ..."""
    return [
        WorkerRole(service, f"{service}-{number}")
        for service, count in demo.workers.items()
        for number in range(1, count + 1)
    ]


class WorkerProcess:
    """One worker."""

    def __init__(self, role: WorkerRole, log: Path, process: asyncio.subprocess.Process) -> None:
        """Take over a process that was just started."""
        self.role = role
        self._log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> None:
        """Wait until it ends by itself, and raise `AppError` that says so, with the end of its log."""
        raise self._failure(await self._process.wait())

    async def stop(self) -> None:
        """Stop it, by force after a while; raises `AppError` when it did not end cleanly."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            code = await self._process.wait()
        if code:
            raise self._failure(code)

    def _failure(self, code: int) -> AppError:
        how = f"one that ended with exit code {code}" if code >= 0 else f"one ended by {signal.Signals(-code).name}"
        problem = Problem(
            f"worker {self.role.name}",
            "requires a process that runs until it is stopped, and then ends with 0",
            how,
            f"read the end of its log, below or in {self._log}",
        )
        return AppError(problem, details=log_tail(self._log))


async def started_worker(role: WorkerRole, log: Path, environment: Mapping[str, str]) -> WorkerProcess:
    """Start a worker; `environment` is added to that of the demo."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "larder", "worker", role.service, "--name", role.name, "--web-port", "0"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return WorkerProcess(role, log, process)


@contextlib.asynccontextmanager
async def running_workers(
    wanted: Sequence[WorkerRole], logs: Path, environment: Mapping[str, str]
) -> AsyncIterator[list[WorkerProcess]]:
    """Start workers, and stop them at the end; raises `AppError` when one does not end cleanly."""
    workers: list[WorkerProcess] = []
    try:
        for role in wanted:
            workers += [await started_worker(role, logs / f"{role.name}.log", environment)]
        yield workers
    except BaseException:
        # The first failure matters; how the other workers ended is in their logs.
        with contextlib.suppress(AppError):
            await stop_all(workers)
        raise
    await stop_all(workers)


async def stop_all(workers: Sequence[WorkerProcess]) -> None:
    """Stop all of them at the same time; raises the first failure when all have ended."""
    outcomes = await asyncio.gather(*(worker.stop() for worker in workers), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
