"""Show the whole at work: a broker, a shop that never closes, three workers."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from larder.cli.terminal.durations import Duration
from larder.cli.terminal.output import answer, json_option
from larder.config.errors import AppError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.demo.since import process_began
from larder.demo.stage import Stage, forget, own_name, refuse_second

if TYPE_CHECKING:
    from larder.demo.outcome import DemoOutcome
    from larder.demo.run import DemoPlan


@click.command("demo")
@click.option("--for", "seconds", type=Duration(), help="Stop after that time, counted from the first order.")
@click.option(
    "--rate", type=click.FloatRange(0), default=200.0, show_default=True, help="Orders a second; 0: no limit."
)
@click.option("--fresh", is_flag=True, help="Forget topics and tables of earlier demos first.")
@json_option
def command(*, seconds: float | None, rate: float, fresh: bool, as_json: bool) -> None:
    """Show the whole at work: a broker, a shop that never closes, three workers.

    Two workers of shipping join orders with global tables of customers and products, one of fulfilment joins orders
    rekeyed by customer with a co-partitioned table. Runs until Ctrl-C; topics and tables stay in .larder/, and the
    next demo goes on from there.
    """
    began = process_began()
    directory = load_settings().settings.directory.absolute()
    refuse_second(directory)
    if fresh:
        forget(directory)
    outcome = _played(Stage(directory, began), rate, seconds, as_json=as_json)
    if not outcome.enriched and not outcome.interrupted:
        problem = Problem(
            "larder demo",
            "requires workers that join orders",
            f"none joined of {outcome.orders:,}",
            f"give it longer (--for), or read the workers' logs in {directory / 'demo'}",
        )
        raise AppError(problem)
    answer(outcome.as_dict(), as_json=as_json, for_people=lambda: click.echo(outcome.told()))


def _played(stage: Stage, rate: float, seconds: float | None, *, as_json: bool) -> DemoOutcome:
    from larder.demo.run import DemoPlan, run  # noqa: PLC0415 - imports Kafka's client
    from larder.demo.screen import new_screen  # noqa: PLC0415

    async def play(plan: DemoPlan) -> DemoOutcome:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(each, stop.set)
        return await run(plan, screen, stop)

    with new_screen(as_json=as_json) as screen, stage.broker(screen.say) as (connection, broker):
        environment = stage.environment(connection, quick=broker is not None)
        plan = DemoPlan(connection, broker, stage.directory, environment, rate, seconds, stage.began, own_name())
        return asyncio.run(play(plan))
