"""Run the demo of the project: a broker, a generator and workers."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from larder.cli.terminal.durations import Duration
from larder.cli.terminal.output import answer, json_option
from larder.config.errors import AppError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.demo.loading import project_demo
from larder.demo.since import process_began
from larder.demo.stage import Stage, forget, own_name, refuse_second

if TYPE_CHECKING:
    from larder.demo.declared import Demo
    from larder.demo.outcome import DemoOutcome
    from larder.demo.run import DemoPlan


@click.command("demo")
@click.option("--for", "seconds", type=Duration(), help="Stop after this time, counted from the first event.")
@click.option(
    "--rate", type=click.FloatRange(0), default=200.0, show_default=True, help="Events per second; 0: no limit."
)
@click.option("--joins-only", is_flag=True, help="Run only the workers whose joins are counted.")
@click.option("--fresh", is_flag=True, help="First forget the topics and tables of earlier demos.")
@json_option
def command(*, seconds: float | None, rate: float, joins_only: bool, fresh: bool, as_json: bool) -> None:
    """Run the demo of the project: a broker, a generator and workers.

    The project in the working directory declares it (setting demo, usually app/demo.py). It runs until Ctrl-C. Topics
    and tables stay in .larder/, and the next demo continues from there.
    """
    began = process_began()
    settings = load_settings().settings
    demo, directory = project_demo(settings.demo), settings.directory.absolute()
    refuse_second(directory, demo)
    if fresh:
        forget(directory, demo.services)
    if joins_only:
        demo = replace(demo, beside=None)
    outcome = _performed(demo, Stage(directory, began), rate, seconds, as_json=as_json)
    if not outcome.came_out and not outcome.interrupted:
        problem = Problem(
            "larder demo",
            f"requires {demo.noun} that are {outcome.word}",
            f"none of {outcome.published:,}",
            f"give it more time (--for), or read the workers' logs in {directory / 'demo'}",
        )
        raise AppError(problem)
    answer(outcome.as_dict(), as_json=as_json, for_people=lambda: click.echo(outcome.in_words()))


def _performed(demo: Demo, stage: Stage, rate: float, seconds: float | None, *, as_json: bool) -> DemoOutcome:
    from larder.demo.run import DemoPlan, run  # noqa: PLC0415 - imports Kafka's client
    from larder.demo.screen import new_screen  # noqa: PLC0415

    async def perform(plan: DemoPlan) -> DemoOutcome:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(each, stop.set)
        return await run(plan, screen, stop)

    with new_screen(as_json=as_json) as screen, stage.broker(screen.say) as (connection, broker):
        environment = stage.environment(connection, quick=broker is not None)
        plan = DemoPlan(demo, connection, broker, stage.directory, environment, rate, seconds, stage.began, own_name())
        return asyncio.run(perform(plan))
