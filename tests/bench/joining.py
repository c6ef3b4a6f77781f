"""The join by all contestants: the same orders and rows, one contestant after the other. Only correct results count."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from tests.bench import larder, loading
from tests.bench.checking import Expected, wrong_result
from tests.bench.process import Process
from tests.bench.watching import Steady, steady, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.bench import Bench
    from tests.bench.job import Job
    from tests.bench.process import Command
    from tests.bench.report import Report

Kind = Literal["global", "copartitioned"]

SOURCES: dict[Kind, str] = {"global": "orders", "copartitioned": "orders-by-customer"}


class Contestant(NamedTuple):
    """A contestant: its `key` in the figures, the `kind` of its table; `short` if it would take very long.

    With `exactly_once`, transaction markers also use offsets, so that results are not counted to the last one.
    """

    key: str
    kind: Kind
    command: Callable[[Bench, Job], Command]
    short: bool = False
    exactly_once: bool = False

    @property
    def figure(self) -> str:
        """The prefix of its figures. All but Kafka Streams are compared with our global join."""
        area = "exactly_once" if self.exactly_once else "global" if self.short else self.kind
        return f"join.{area}.{self.key}"


CONTESTANTS = (
    Contestant("larder", "global", lambda bench, job: larder.command(bench, job, "global")),
    Contestant("bare_loop", "global", lambda bench, job: bench.program("bare loop", "bare_join", job)),
    Contestant(
        "bare_loop_dict", "global", lambda bench, job: bench.program("bare loop, dict", "bare_join", job, "--dict")
    ),
    Contestant("kafka_streams", "global", lambda bench, job: bench.java.command(job, "global")),
    Contestant("larder", "copartitioned", lambda bench, job: larder.command(bench, job, "copartitioned")),
    Contestant(
        "larder",
        "global",
        lambda bench, job: larder.command(bench, job, "global", guarantee="exactly_once"),
        exactly_once=True,
    ),
    Contestant(
        "kafka_streams",
        "global",
        lambda bench, job: bench.java.command(job, "global", "exactly_once"),
        exactly_once=True,
    ),
    Contestant("kafka_streams", "copartitioned", lambda bench, job: bench.java.command(job, "copartitioned")),
    # Quix Streams has no global table, and join_asof is its join with a table.
    Contestant("quix", "copartitioned", lambda bench, job: bench.peer("Quix Streams", "quix_join.py", job), short=True),
    Contestant("plain_faust", "global", lambda bench, job: bench.peer("plain Faust", "faust_join.py", job), short=True),
)


async def measure(bench: Bench, report: Report) -> None:
    """Run all contestants in turn, several times. The figures are medians."""
    runs: defaultdict[str, list[Steady]] = defaultdict(list)
    for number in itertools.takewhile(bench.begins, itertools.count()):
        # Alternate the direction, so that no contestant always runs last, on a warmer and fuller machine.
        for contestant in CONTESTANTS if number % 2 == 0 else reversed(CONTESTANTS):
            if number and contestant.short:
                continue
            with report.trying(contestant.figure):
                run = await _run(bench, contestant)
                runs[contestant.figure].append(run)
                bench.say(f"{contestant.figure}: {run.per_s:,.0f}/s, {run.per_cpu_s:,.0f} per CPU second")
    for figure, found in runs.items():
        report.figures[f"{figure}_per_s"] = statistics.median(run.per_s for run in found)
        report.figures[f"{figure}_per_cpu_s"] = statistics.median(run.per_cpu_s for run in found)


async def _run(bench: Bench, contestant: Contestant) -> Steady:
    job = bench.job(contestant.key, "customers", bench.plan.customers, SOURCES[contestant.kind])
    await loading.create_topics(bench.brokers, [job.into])
    try:
        return await _judged(bench, contestant, job)
    finally:
        await bench.forget(job)


async def _judged(bench: Bench, contestant: Contestant, job: Job) -> Steady:
    plan = bench.plan
    with Process(contestant.command(bench, job)) as process:
        seconds = plan.short_seconds if contestant.short else plan.seconds
        samples = await watch(bench.brokers, job.into, process, plan.orders, seconds)
    complete = samples[-1].records >= plan.orders and not contestant.exactly_once
    expected = Expected(plan.customers, by_customer=contestant.kind == "copartitioned")
    wrong = await wrong_result(job, expected, plan.orders if complete else None)
    if wrong:
        process.fail(wrong)
    return steady(samples)
