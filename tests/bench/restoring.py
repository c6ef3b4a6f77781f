"""The restore of a global table from its topic by all contestants: from the first row read to the last one applied."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from tests.bench import larder
from tests.bench.process import ContestantError, Process, output_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.bench import Bench
    from tests.bench.process import Command
    from tests.bench.report import Report

END_SECONDS = 600.0
# Between two requests to a worker: 1 % of a restore of 2 million rows, at a cost of less than 1 % of its time.
LOOK_SECONDS = 0.05


class Restored(NamedTuple):
    """The cost of a restore. `resident_mb` is the highest observed memory of the process."""

    rows: int
    seconds: float
    resident_mb: float = 0.0
    get_us: float = 0.0

    @property
    def per_s(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


async def measure(bench: Bench, report: Report) -> None:
    """Restore the table `rows` by all contestants, several times. The figures are medians."""
    runs: defaultdict[str, list[Restored]] = defaultdict(list)
    ways: dict[str, Callable[[Bench], Awaitable[Restored]]] = {
        "larder": by_larder,
        "bare_loop": _by_bare_loop,
        "kafka_streams": _by_kafka_streams,
    }
    for number in itertools.takewhile(bench.begins, itertools.count()):
        for key, restore in ways.items() if number % 2 == 0 else reversed(ways.items()):
            with report.trying(f"restore.replay.{key}"):
                run = await restore(bench)
                runs[key].append(run)
                bench.say(f"restore.replay.{key}: {run.per_s:,.0f} rows/s")
    for key, found in runs.items():
        report.figures[f"restore.replay.{key}_per_s"] = statistics.median(run.per_s for run in found)
    if runs["kafka_streams"]:
        report.figures["get.kafka_streams_us"] = statistics.median(run.get_us for run in runs["kafka_streams"])


async def by_larder(bench: Bench, table: str = "rows", rows: int = 0) -> Restored:
    """Start a worker of a service that only reads, and poll its table until it has caught up."""
    job = bench.job("larder", table, rows or bench.plan.restored)
    with Process(larder.command(bench, job, "restore")) as process:
        address = await larder.web_port(job, "restore", process)
        async with aiohttp.ClientSession() as session:
            restored = await _watched(larder.Web(session, address), process, job.table)
    if restored.rows != job.rows:
        process.fail(f"restored {restored.rows} rows of {job.rows}")
    return restored


async def _watched(web: larder.Web, process: Process, table: str) -> Restored:
    before = started = time.monotonic()
    resident = 0.0
    moving = False
    while True:
        now = time.monotonic()
        partitions = await web.partitions(table)
        position = sum(each["position"] for each in partitions)
        # It began some time after the last empty answer. Count from that answer, to our disadvantage.
        if position and not moving:
            started, moving = before, True
        resident = max(resident, process.resident_mb())
        if partitions and all(each["phase"] == "caught_up" for each in partitions):
            return Restored(position, time.monotonic() - started, resident)
        process.require_running()
        if now - started > END_SECONDS:
            process.fail(f"has not restored {table} after {END_SECONDS:.0f} s, but {position} rows")
        before = now
        await asyncio.sleep(LOOK_SECONDS)


async def _by_bare_loop(bench: Bench) -> Restored:
    job = bench.job("bare-loop", "rows", bench.plan.restored)
    return await _by_program(bench, bench.program("bare loop", "bare_rows", job))


async def _by_kafka_streams(bench: Bench) -> Restored:
    job = bench.job("kafka-streams", "rows", bench.plan.restored)
    return await _by_program(bench, bench.java.command(job, "restore"))


async def _by_program(bench: Bench, command: Command) -> Restored:
    restored = Restored(**await output_of(command, END_SECONDS))
    if restored.rows != bench.plan.restored:
        message = f"{command.contestant} restored {restored.rows} rows of {bench.plan.restored}"
        raise ContestantError(message)
    return restored
