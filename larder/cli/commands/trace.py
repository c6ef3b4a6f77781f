"""Tell the story of a key: what all services wrote about it, in the order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from larder.cli.terminal.output import answer, json_option
from larder.cli.terminal.progress import percent, progress_report
from larder.config.settings import load_settings

if TYPE_CHECKING:
    from larder.tracing.reading import TraceProgress

READ_SECONDS = 3_600.0
"""Time to read all topics of a day twice. A story of an hour takes seconds."""


@click.command("trace")
@click.argument("key")
@click.option("--since", metavar="TIME", help="How long ago to begin (90m, 36h, 3d), or a time; 1h if not given.")
@click.option("--until", metavar="TIME", help="How long ago to end, or a time; now if not given.")
@json_option
def command(*, key: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Tell the story of KEY over all services: each record, who wrote it, and how long after its cause.

    Reads the declared topics between two times, one after the other. Records with KEY are found in any case. If they
    have a trace (the header traceparent), all other records of the trace belong to the story. Exit code 1: there is no
    such record.
    """
    from larder.cli.terminal.timeline import show_story  # noqa: PLC0415
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.clock import now  # noqa: PLC0415
    from larder.config.declared import declared_services  # noqa: PLC0415 - imports what the user wrote
    from larder.kafka.conversations import talk  # noqa: PLC0415
    from larder.tracing.reading import Wanted, tell  # noqa: PLC0415
    from larder.tracing.story import described  # noqa: PLC0415
    from larder.tracing.times import time_range  # noqa: PLC0415

    wanted = Wanted(key, *time_range(since, until, now()))
    services = list(declared_services(load_settings().settings.modules).values())
    connection = serving_broker()
    found = described(talk(connection, tell(connection, services, wanted, progress_report(_line)), READ_SECONDS))
    answer(found, as_json=as_json, for_people=lambda: show_story(found))
    if not found["steps"]:
        click.get_current_context().exit(1)


def _line(progress: TraceProgress) -> str:
    return f"{percent(progress.read, progress.of)} of {progress.of:,} records read, in {progress.topic}"
