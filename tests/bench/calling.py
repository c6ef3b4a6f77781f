"""Ingestion beside calls: how much of its rate a join keeps while the other side of all calls hangs.

The same join is measured with and without events to call for, in turn.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tests.bench import larder, loading
from tests.bench.process import Process
from tests.bench.watching import steady, watch

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.report import Report

EVENTS: Final = 5_000
"""Events to call for: many more than a worker calls at once."""

FIGURES: Final = {"alone": 0, "hanging": EVENTS}
"""The figures by the number of events to call for."""


async def measure(bench: Bench, report: Report) -> None:
    """Report the rates of the join alone and beside calls; each is a median."""
    runs: defaultdict[str, list[float]] = defaultdict(list)
    with report.trying("calls"):
        for number in itertools.takewhile(bench.begins, itertools.count()):
            for name in FIGURES if number % 2 == 0 else reversed(FIGURES):
                runs[name].append(await _run(bench, FIGURES[name]))
                bench.say(f"calls: join {name} {runs[name][-1]:,.0f}/s")
    for name, found in ((name, found) for name, found in runs.items() if found):
        report.figures[f"calls.ingestion_{name}_per_s"] = statistics.median(found)


async def _run(bench: Bench, events: int) -> float:
    plan = bench.plan
    job = bench.job("larder", "customers", plan.customers, "orders-by-customer")
    job, to_call = job._replace(into=f"{job.name}.enriched-beside"), f"{job.name}.to-call"
    await loading.create_topics(bench.brokers, [job.into, to_call])
    try:
        if events:
            await loading.load_orders(bench.brokers, to_call, events, plan.customers, by_customer=True)
        with Process(larder.command(bench, job, "calling", guarantee="exactly_once")) as process:
            samples = await watch(bench.brokers, job.into, process, plan.orders, plan.seconds)
    finally:
        await bench.forget(job)
    return steady(samples).per_s
