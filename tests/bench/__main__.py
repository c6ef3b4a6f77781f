"""The run: a broker, the data, the parts in their order, the report. `python -m tests.bench [--quick] [--json PATH]`.

Exit code 1 when a contestant failed or a figure is lacking: what was found is shown and written all the same.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop
from rich.console import Console

from larder.config.errors import AppError
from larder.config.settings import load_settings
from larder.local_broker import LocalBroker
from tests.bench import (
    asking,
    deciding,
    failover,
    freshness,
    getting,
    growth,
    java_peer,
    joining,
    loading,
    machine,
    restoring,
    showing,
    transactions,
)
from tests.bench.bench import PEERS, Bench
from tests.bench.plan import FULL, QUICK, Plan
from tests.bench.process import ContestantError
from tests.bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from larder.config.settings import Loaded

WIDTH = 130  # of the tables where there is no terminal to ask

# In this order: the last two change rows, or need the machine for themselves for long.
PARTS: dict[str, Callable[[Bench, Report], Awaitable[None]]] = {
    "join": joining.measure,
    "decide": deciding.measure,
    "restore": restoring.measure,
    "get": getting.measure,
    "http": asking.measure,
    "transactions": transactions.measure,
    "failover": failover.measure,
    "freshness": freshness.measure,
    "memory": growth.measure,
}


@click.command("bench")
@click.option("--quick", is_flag=True, help="Less of everything, in less than eight minutes.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write the results here.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Leave out the other parts.")
def main(*, quick: bool, path: Path | None, only: tuple[str, ...]) -> None:
    """Measure Larder beside a bare loop, Kafka Streams, Quix Streams and plain Faust, on one broker."""
    started = time.monotonic()
    console = Console(stderr=True)

    def say(what: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {what}", highlight=False)

    if not PEERS.exists():
        message = f"requires {PEERS}; found none; run make bench, which makes it"
        raise click.ClickException(message)
    areas = only or tuple(PARTS)
    report = Report()
    # As with Ctrl-C: contestants and broker are in sessions of their own, and would live on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    busy = machine.busy_percent()
    if busy > machine.QUIET_PERCENT:
        say(f"the machine is {busy:.0f} % busy with other things: figures will be noisy, and those of the clock low")
    try:
        with _prepared(QUICK if quick else FULL, say) as bench:
            uvloop.run(_run(bench, report, areas))
    except (AppError, ContestantError) as error:
        raise click.ClickException(str(error)) from error
    lacking = report.lacking(quick=quick, areas=areas)
    if path:
        path.write_text(json.dumps(_results(report, lacking, busy), indent=2) + "\n", encoding="utf-8")
    _show(report, lacking)
    sys.exit(1 if report.failures or lacking else 0)


@contextlib.contextmanager
def _prepared(plan: Plan, say: Callable[[str], None]) -> Iterator[Bench]:
    """Give a run with a broker and a directory of its own, both gone afterwards."""
    loaded = load_settings()
    name = f"bench-{uuid.uuid4().hex[:6]}"
    directory = (loaded.settings.directory / name).absolute()
    classes = directory / "classes"
    classes.mkdir(parents=True)
    try:
        java = java_peer.built(loaded.settings.cache, classes)
        with _broker(loaded, directory) as brokers:
            yield Bench(name, brokers, plan, directory, java, say, time.monotonic() + plan.begin_seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _broker(loaded: Loaded, directory: Path) -> Iterator[str]:
    """Give the address of the broker that `KAFKA` names, or else of one that runs as long as this."""
    if loaded.origins["kafka"] != "default":
        yield loaded.settings.kafka
        return
    broker = LocalBroker(directory / "broker", cache=loaded.settings.cache)
    try:
        broker.start()
        broker.wait_ready()
        yield broker.bootstrap
    finally:
        broker.stop()


async def _run(bench: Bench, report: Report, areas: tuple[str, ...]) -> None:
    try:
        await _load(bench, areas)
        for area, measure in PARTS.items():
            if area in areas:
                await measure(bench, report)
    finally:
        await loading.delete_topics(bench.brokers, bench.name)


async def _load(bench: Bench, areas: tuple[str, ...]) -> None:
    """Make what is used by more than one contestant."""
    plan, brokers = bench.plan, bench.brokers
    if "restore" in areas:
        rows = bench.topic("rows")
        await loading.create_topics(brokers, [rows], compacted=True)
        await loading.load_customers(brokers, rows, plan.restored)
        bench.say(f"{plan.restored:,} rows to be restored are there")
    if {"join", "decide", "freshness", "http"}.intersection(areas):
        customers, orders, by_customer = map(bench.topic, ("customers", "orders", "orders-by-customer"))
        await loading.create_topics(brokers, [customers], compacted=True)
        await loading.create_topics(brokers, [orders, by_customer])
        await loading.load_customers(brokers, customers, plan.customers)
        await loading.load_orders(brokers, orders, plan.orders, plan.customers, by_customer=False)
        await loading.load_orders(brokers, by_customer, plan.orders, plan.customers, by_customer=True)
        bench.say(f"{plan.customers:,} customers and {plan.orders:,} orders, under both keys, are there")


def _results(report: Report, lacking: list[str], busy: float) -> dict[str, object]:
    return {
        "machine": {**machine.described(), "busy_before_percent": busy},
        "results": {name: round(figure, 4) for name, figure in report.with_ratios().items()},
        "lacking": lacking,
        "failures": report.failures,
    }


def _show(report: Report, lacking: list[str]) -> None:
    out = Console(width=None if sys.stdout.isatty() else WIDTH)
    out.print(showing.of_targets(report))
    out.print(showing.of_figures(report))
    for what, why in report.failures.items():
        click.echo(f"larder: {what}: {why}", err=True)
    for name in lacking:
        click.echo(f"larder: {name}: requires a figure; found none; see the failures above", err=True)


if __name__ == "__main__":
    main()
