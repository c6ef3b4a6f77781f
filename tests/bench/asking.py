"""Rows over HTTP: from a worker under full ingestion, from an idle one compared with a bare handler, and over a hop.

The load generator is a process of its own (`http_load`). Its share of a core is among the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from larder.kafka.partitioner import partition_of
from tests.bench import larder, loading, shop
from tests.bench.http_load import Load, Pulse
from tests.bench.process import Command, Process, output_of
from tests.bench.watching import Sample, records_at, watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.bench import Bench
    from tests.bench.job import Job
    from tests.bench.report import Report

CONNECTIONS = 32
KEYS = 1_000
# The rate of look-ups during ingestion, well above the target.
LOADED_PER_S = 3_000.0
HOPS_PER_S = 500.0
# Between two pulses the worker only ingests. Other load on the machine then changes both rates alike.
PULSE_SECONDS = 0.6
IDLE_SECONDS = 2.0
HOP_SECONDS = 3.0
END_SECONDS = 120.0
# Only records up to then count: at the end, some partitions are read before the others.
TO = 0.97
WORKERS = ("1", "2")
STEP_SECONDS = 0.05
START_SECONDS = 60.0


class KeptIngestion(NamedTuple):
    """Ingestion per second with look-ups and alone, and the pulses of look-ups."""

    loaded_per_s: float
    alone_per_s: float
    pulses: list[Pulse]


async def measure(bench: Bench, report: Report) -> None:
    """Measure look-ups of one worker, loaded and idle, then of one of two workers."""
    with report.trying("http"):
        job = bench.job("larder", "customers", bench.plan.customers, "orders")
        await loading.create_topics(bench.brokers, [job.into])
        try:
            with Process(larder.command(bench, job, "global")) as process:
                address = await larder.web_port(job, "global", process)
                await _loaded(bench, report, job, process, address)
                await _idle(bench, report, job, address)
        finally:
            await bench.forget(job)
    with report.trying("http.hop"):
        await _hops(bench, report)


async def _loaded(bench: Bench, report: Report, job: Job, process: Process, address: str) -> None:
    plan = bench.plan
    watching = asyncio.create_task(watch(bench.brokers, job.into, process, plan.orders, plan.seconds))
    try:
        await _joining(job, process, address)
        # Long enough for all pulses with a worker that ingests 200,000 orders a second.
        pulses = max(2, int(plan.orders / 200_000 / (2 * PULSE_SECONDS)))
        load = _load(address, job.table, _keys(plan.customers), LOADED_PER_S, pulses, PULSE_SECONDS, PULSE_SECONDS)
        answered = await _pulses(bench, load)
        samples = await watching
    finally:
        watching.cancel()
    found = kept_ingestion(samples, answered)
    took = sorted(each for pulse in found.pulses for each in pulse.took)
    report.figures["http.lookups_per_s"] = statistics.fmean(pulse.per_s for pulse in found.pulses)
    report.figures["http.p99_ms"] = statistics.quantiles(took, n=100)[-1]
    report.figures["http.median_ms"] = statistics.median(took)
    report.figures["http.ingestion_alone_per_s"] = found.alone_per_s
    report.figures["http.ingestion_loaded_per_s"] = found.loaded_per_s
    bench.say(
        f"http: {report.figures['http.lookups_per_s']:,.0f} look-ups/s, p99 {report.figures['http.p99_ms']:.1f} ms,"
        f" {found.loaded_per_s / found.alone_per_s:.2f} of {found.alone_per_s:,.0f} orders/s kept"
    )


async def _joining(job: Job, process: Process, address: str) -> None:
    """Wait until the worker has rows: it reads them first, and orders after them."""
    async with aiohttp.ClientSession() as session:
        web = larder.Web(session, address)
        deadline = time.monotonic() + START_SECONDS
        while await web.revision(job.table, shop.customer_key(job.rows - 1).decode()) is None:
            if time.monotonic() > deadline:
                process.fail("does not answer with a row")
            await asyncio.sleep(STEP_SECONDS)


def kept_ingestion(samples: Sequence[Sample], pulses: Sequence[Pulse]) -> KeptIngestion:
    """Compare the rate in pulses with that between them while there was input. Raise ValueError if there was none."""
    total = samples[-1].records
    begin = next(sample.at for sample in samples if sample.records)
    end = next(sample.at for sample in samples if sample.records >= TO * total)
    inside = [pulse for pulse in pulses if begin <= pulse.began and pulse.ended <= end]
    pauses = [(one.ended, other.began) for one, other in itertools.pairwise(inside)]
    if not pauses:
        message = f"{len(inside)} of {len(pulses)} pulses of look-ups came while there was input: two are needed"
        raise ValueError(message)
    loaded = _rate(samples, [(pulse.began, pulse.ended) for pulse in inside])
    return KeptIngestion(loaded, _rate(samples, pauses), inside)


def _rate(samples: Sequence[Sample], stretches: Sequence[tuple[float, float]]) -> float:
    records = sum(records_at(samples, end) - records_at(samples, begin) for begin, end in stretches)
    return records / sum(end - begin for begin, end in stretches)


async def _idle(bench: Bench, report: Report, job: Job, address: str) -> None:
    keys = _keys(bench.plan.customers)
    size = await _size(f"{address}/tables/{job.table}/rows/{keys[0]}")
    command = [sys.executable, "-m", "tests.bench.bare_http", str(size)]
    ours, bare = [], []
    with Process(Command("bare handler", command, bench.directory / "bare-http")) as process:
        bare_address = f"http://127.0.0.1:{await _port(process)}"
        for _ in range(max(2, bench.plan.rounds)):
            for found, where in ((bare, bare_address), (ours, address)):
                found.extend(await _pulses(bench, _load(where, job.table, keys, 0, 1, IDLE_SECONDS)))
        # The speed of this machine for the same requests without any other work.
        (paced,) = await _pulses(bench, _load(bare_address, job.table, keys, LOADED_PER_S, 1, IDLE_SECONDS))
    report.figures["http.bare_handler_p99_ms"] = statistics.quantiles(paced.took, n=100)[-1]
    report.figures["http.larder_idle_per_s"] = statistics.median(pulse.per_s for pulse in ours)
    report.figures["http.bare_handler_per_s"] = statistics.median(pulse.per_s for pulse in bare)
    report.figures["http.client_busy"] = max(pulse.busy for pulse in bare)
    bench.say(
        f"http: idle {report.figures['http.larder_idle_per_s']:,.0f} look-ups/s,"
        f" bare handler {report.figures['http.bare_handler_per_s']:,.0f}"
        f" (at {LOADED_PER_S:,.0f}/s p99 {report.figures['http.bare_handler_p99_ms']:.1f} ms);"
        f" the load generator needs at most {report.figures['http.client_busy']:.2f} of a core"
    )


async def _size(address: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(address, raise_for_status=True) as answer:
        return len(await answer.read())


async def _port(process: Process) -> int:
    deadline = time.monotonic() + START_SECONDS
    while not (said := process.output()).endswith("\n"):
        process.require_running()
        if time.monotonic() > deadline:
            process.fail("prints no port")
        await asyncio.sleep(STEP_SECONDS)
    return int(said)


async def _hops(bench: Bench, report: Report) -> None:
    job = bench.job("larder", "customers", bench.plan.customers)
    async with contextlib.AsyncExitStack() as stack:
        processes = [stack.enter_context(Process(larder.command(bench, job, "shared", each))) for each in WORKERS]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        addresses = [
            await larder.web_port(job, "shared", process, each)
            for process, each in zip(processes, WORKERS, strict=True)
        ]
        webs = [larder.Web(session, address) for address in addresses]
        other = await _others(job, processes, webs)
        keys = [key for key in _keys(bench.plan.customers) if partition_of(key.encode(), loading.PARTITIONS) in other]
        # A warm-up, in which the workers connect to each other.
        load = _load(addresses[0], job.table, keys, HOPS_PER_S, 2, HOP_SECONDS)
        _, pulse = await _pulses(bench, load)
    report.figures["http.hop_p99_ms"] = statistics.quantiles(pulse.took, n=100)[-1]
    report.figures["http.hop_median_ms"] = statistics.median(pulse.took)
    bench.say(f"http: over a hop, p99 {report.figures['http.hop_p99_ms']:.1f} ms at {pulse.per_s:,.0f}/s")
    await bench.forget(job)


async def _others(job: Job, processes: Sequence[Process], webs: Sequence[larder.Web]) -> set[int]:
    """Wait until each has caught up with half of the table. Return the partitions of the second."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        shares = [
            {int(each["partition"]) for each in await web.partitions(job.table) if each["phase"] == "caught_up"}
            for web in webs
        ]
        if all(shares) and sorted(itertools.chain(*shares)) == list(range(loading.PARTITIONS)):
            return shares[1]
        for process in processes:
            process.require_running()
        if time.monotonic() > deadline:
            processes[0].fail(f"and the other one have {shares}")
        await asyncio.sleep(STEP_SECONDS)


def _keys(customers: int) -> list[str]:
    return [shop.customer_key(each).decode() for each in shop.customers_of(range(KEYS), customers)]


def _load(
    address: str, table: str, keys: Sequence[str], per_s: float, pulses: int, seconds: float, pause: float = 0.0
) -> Load:
    at = urlsplit(address)
    assert at.hostname is not None
    assert at.port is not None
    paths = [f"/tables/{table}/rows/{key}" for key in keys]
    return Load(at.hostname, at.port, paths, CONNECTIONS, per_s, pulses, seconds, pause)


async def _pulses(bench: Bench, load: Load) -> list[Pulse]:
    """Run the load. Raise ContestantError if any answer is not a row."""
    command = Command("look-ups", [sys.executable, "-m", "tests.bench.http_load", json.dumps(load)], bench.directory)
    pulses = [Pulse(*each) for each in (await output_of(command, END_SECONDS))["pulses"]]
    if wrong := sum(pulse.wrong for pulse in pulses):
        message = f"{wrong} answers were not rows"
        raise ValueError(message)
    return pulses
