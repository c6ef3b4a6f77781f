"""Larder as a contestant: a worker as users start it, with a user's declarations, and its web port."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import aiohttp

from tests.bench.process import Command, ContestantError

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.job import Guarantee, Job
    from tests.bench.process import Process

Service = Literal[
    "global", "copartitioned", "failover", "restore", "decide", "shared", "growing", "requests", "calling"
]

START_SECONDS = 60.0
STEP_SECONDS = 0.02
ANSWER = aiohttp.ClientTimeout(total=10)


def command(
    bench: Bench, job: Job, service: Service, worker: str = "1", guarantee: Guarantee = "at_least_once"
) -> Command:
    """Return the command of one worker of a service of `declarations`."""
    environment = {
        "KAFKA": job.brokers,
        "LARDER_DIRECTORY": str(job.path / "larder"),
        "LARDER_MODULES": "tests.bench.declarations",
        "LARDER_GUARANTEE": guarantee,
        "BENCH_RUN": bench.name,
        "BENCH_ATTEMPT": job.name,
        "BENCH_ROWS": job.table.removeprefix(f"{bench.name}."),
    }
    arguments = [sys.executable, "-m", "larder", "worker", f"{job.name}.{service}", "--name", worker]
    return Command("larder", arguments, job.path / f"worker-{worker}", environment)


def scaling(bench: Bench, job: Job, service: Service, partitions: int) -> Command:
    """Return the command that asks the workers of a service for another number of partitions."""
    arguments = [sys.executable, "-m", "larder", "scale", f"{job.name}.{service}", "--partitions", str(partitions)]
    environment = command(bench, job, service).environment
    return Command("larder scale", arguments, job.path / "scale", environment)


async def web_port(job: Job, service: Service, process: Process, worker: str = "1") -> str:
    """Wait until the worker has logged its address, and return it (http://host:port)."""
    announced = job.path / "larder" / "workers" / f"{job.name}.{service}" / f"{worker}.json"
    deadline = time.monotonic() + START_SECONDS
    while True:
        process.require_running()
        try:
            return str(json.loads(announced.read_text())["web"])
        except (FileNotFoundError, json.JSONDecodeError):
            await asyncio.sleep(STEP_SECONDS)
        if time.monotonic() > deadline:
            process.fail("announces no web port")


class Web:
    """The answers of a worker's web port."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        """Ask the worker at `address`."""
        self._session = session
        self._address = address

    async def partitions(self, table: str) -> list[dict[str, Any]]:
        """Return phase and position of each partition of a table; empty before it has any."""
        _, status = await self._get("/services")
        return next((list(each["partitions"]) for each in status["tables"] if each["table"] == table), [])

    async def read(self, table: str) -> int:
        """Return the number of records of a table that the worker has read."""
        _, status = await self._get("/services")
        return next(sum(each["counts"].values()) for each in status["tables"] if each["table"] == table)

    async def revision(self, table: str, key: str) -> int | None:
        """Return the revision of a row; None while it cannot be read."""
        code, answer = await self._get(f"/tables/{table}/rows/{key}")
        return int(answer["row"]["revision"]) if code == HTTPStatus.OK else None

    async def _get(self, path: str) -> tuple[int, Any]:
        try:
            async with self._session.get(self._address + path, timeout=ANSWER) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"larder does not answer GET {path}: {error!r}"
            raise ContestantError(message) from error
