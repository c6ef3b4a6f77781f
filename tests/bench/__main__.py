"""A run: a broker, the data, the parts in their order, the report. `python -m tests.bench [--quick] [--json PATH]`.

The exit code is 1 if a contestant failed or a figure is missing. All other figures are still shown and written.
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
    calling,
    deciding,
    failover,
    freshness,
    getting,
    java_peer,
    joining,
    loading,
    machine,
    memory,
    ordering,
    requesting,
    restoring,
    scaling,
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

WIDTH = 130  # of the tables if there is no terminal

# In this order, since the last two change rows or need the machine to themselves for long.
PARTS: dict[str, Callable[[Bench, Report], Awaitable[None]]] = {
    "join": joining.measure,
    "decide": deciding.measure,
    "restore": restoring.measure,
    "get": getting.measure,
    "http": asking.measure,
    "transactions": transactions.measure,
    "requests": requesting.measure,
    "calls": calling.measure,
    "orders": ordering.measure,
    "failover": failover.measure,
    "growth": scaling.measure,
    "freshness": freshness.measure,
    "memory": memory.measure,
}


@click.command("bench")
@click.option("--quick", is_flag=True, help="A shorter run, in less than eight minutes.")
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Run this part alone.")
def main(*, quick: bool, path: Path | None, only: tuple[str, ...]) -> None:
    """Compare Larder with a bare loop, Kafka Streams, Quix Streams and plain Faust, on one broker."""
    started = time.monotonic()
    console = Console(stderr=True)

    def say(what: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {what}", highlight=False)

    if not PEERS.exists():
        message = f"requires {PEERS}; found none; run make bench, which creates it"
        raise click.ClickException(message)
    areas = only or tuple(PARTS)
    report = Report()
    # End as with Ctrl-C. Otherwise contestants and broker, which have their own sessions, would keep running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    busy = machine.busy_percent()
    if busy > machine.QUIET_PERCENT:
        say(f"other processes keep the machine {busy:.0f} % busy: figures will be noisy, and those per second too low")
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
    """Yield a run with its own broker and directory, and remove both afterwards."""
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
    """Yield the address of the broker that `KAFKA` names, or else of one that runs during the block."""
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
    """Create the data that several contestants use."""
    plan, brokers = bench.plan, bench.brokers
    if "restore" in areas:
        rows = bench.topic("rows")
        await loading.create_topics(brokers, [rows], compacted=True)
        await loading.load_customers(brokers, rows, plan.restored)
        bench.say(f"{plan.restored:,} rows to restore are ready")
    if {"join", "decide", "freshness", "http", "calls"}.intersection(areas):
        customers, orders, by_customer = map(bench.topic, ("customers", "orders", "orders-by-customer"))
        await loading.create_topics(brokers, [customers], compacted=True)
        await loading.create_topics(brokers, [orders, by_customer])
        await loading.load_customers(brokers, customers, plan.customers)
        await loading.load_orders(brokers, orders, plan.orders, plan.customers, by_customer=False)
        await loading.load_orders(brokers, by_customer, plan.orders, plan.customers, by_customer=True)
        bench.say(f"{plan.customers:,} customers and {plan.orders:,} orders, under both keys, are ready")


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
