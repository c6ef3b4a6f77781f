"""The demo's processes: workers and programs, started, monitored, and stopped. They log into files.

Each runs in its own session. Ctrl-C in the terminal reaches only the demo, which then stops them.
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


class ProcessRole(NamedTuple):
    """A process to start: what it is ("worker", "program"), its name, and its command."""

    what: str
    name: str
    command: tuple[str, ...]


def roles(demo: Demo) -> list[ProcessRole]:
    """Return the counted workers of a demo: shipping-1, shipping-2, ..."""
    return [worker_role(service, number) for service, count in demo.workers.items() for number in range(1, count + 1)]


def worker_role(service: str, number: int, port: int = 0) -> ProcessRole:
    """Return a worker of a service; port 0: any free one."""
    name = f"{service}-{number}"
    command = (sys.executable, "-m", "larder", "worker", service, "--name", name, "--web-port", str(port))
    return ProcessRole("worker", name, command)


class DemoProcess:
    """One worker or program."""

    def __init__(self, role: ProcessRole, log: Path, process: asyncio.subprocess.Process) -> None:
        """Take over a process that was just started."""
        self.role = role
        self._log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> None:
        """Wait until the process ends unexpectedly, and raise `AppError` with the end of its log."""
        raise self._failure(await self._process.wait())

    async def stop(self) -> None:
        """Stop the process, by force after `STOP_SECONDS`. Raise `AppError` if it did not end cleanly."""
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
        how = f"exit code {code}" if code >= 0 else f"death by {signal.Signals(-code).name}"
        problem = Problem(
            f"{self.role.what} {self.role.name}",
            "must run until it is stopped, and then exit with 0",
            how,
            f"read the end of its log, below or in {self._log}",
        )
        return AppError(problem, details=log_tail(self._log))


async def started(role: ProcessRole, log: Path, environment: Mapping[str, str]) -> DemoProcess:
    """Start a process in the environment of the demo plus `environment`."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *role.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return DemoProcess(role, log, process)


@contextlib.asynccontextmanager
async def running_processes(
    wanted: Sequence[ProcessRole], logs: Path, environment: Mapping[str, str]
) -> AsyncIterator[list[DemoProcess]]:
    """Start processes, and stop them at the end. Raise `AppError` if one does not end cleanly."""
    processes: list[DemoProcess] = []
    try:
        for role in wanted:
            processes += [await started(role, logs / f"{role.name}.log", environment)]
        yield processes
    except BaseException:
        # The first failure matters. The logs show how the other processes ended.
        with contextlib.suppress(AppError):
            await stop_all(processes)
        raise
    await stop_all(processes)


async def stop_all(processes: Sequence[DemoProcess]) -> None:
    """Stop all processes at the same time. Raise the first failure after all have ended."""
    outcomes = await asyncio.gather(*(each.stop() for each in processes), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
