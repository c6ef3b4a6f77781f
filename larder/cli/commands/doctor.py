"""Audit topics, settings and workers: what is wrong, why it matters, and the command that fixes it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import click

from larder.cli.terminal.durations import Duration
from larder.cli.terminal.output import answer, json_option, printable
from larder.config.settings import load_settings
from larder.declaring.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from larder.doctor.findings import Finding
    from larder.doctor.gathering import AuditScope
    from larder.doctor.sampling import Read

RECORDS: Final = 10_000
"""The sample of each topic: enough to find a fault in one record of a thousand, and read in a second."""

SECONDS: Final = 600.0
"""Limit for sampling all topics. Each wait has a deadline of its own."""

SECONDS_FOR_ALL: Final = 7 * 86_400.0
"""Limit for reading everything. A broker that stops answering ends the audit long before."""

FACTS_SECONDS: Final = 60.0
"""Limit for everything except records: some dozens of small requests."""

PROGRESS_SECONDS: Final = 1.0
"""Pause between two lines of progress."""

_COLOURS: Final = {"error": "red", "warning": "yellow", "hint": "cyan"}


@click.command("doctor")
@click.argument("service", required=False)
@click.option(
    "--records",
    type=click.IntRange(1),
    default=RECORDS,
    show_default=True,
    help="How many records of each topic to read.",
)
@click.option("--all", "everything", is_flag=True, help="Read all records of each topic, and show the progress.")
@click.option("--absence", type=Duration(), help="The longest time that workers may be stopped: 90m, 36h, 3d.")
@json_option
def command(*, service: str | None, records: int, everything: bool, absence: float | None, as_json: bool) -> None:
    """Audit topics, settings and workers of all declared services, or of SERVICE. Changes nothing.

    Reads committed records: the oldest and the newest of each partition. Exit codes: 0 nothing, or hints; 10 warnings;
    11 errors.
    """
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote
    from larder.doctor.findings import exit_code  # noqa: PLC0415
    from larder.doctor.gathering import AuditScope  # noqa: PLC0415 - imports Kafka's client
    from larder.kafka.conversations import talk  # noqa: PLC0415

    settings = load_settings().settings
    services = declared_services(settings.modules)
    only = [service_named(services, service).name] if service else list(services)
    connection = serving_broker()
    wanted = None if everything else records
    scope = AuditScope(connection, services, only, settings, absence)
    findings, read = talk(connection, _audit(scope, wanted), SECONDS_FOR_ALL if everything else SECONDS)
    found = {
        "broker": str(connection),
        "services": only,
        "findings": [finding.as_dict() for finding in findings],
        "read": {topic: {"records": each.records, "of": each.there, "all": each.whole} for topic, each in read.items()},
    }
    answer(found, as_json=as_json, for_people=lambda: _show(findings, read))
    click.get_current_context().exit(exit_code(findings))


async def _audit(scope: AuditScope, wanted: int | None) -> tuple[list[Finding], dict[str, Read]]:
    from larder.doctor.examining import audits, examine  # noqa: PLC0415
    from larder.doctor.gathering import gather  # noqa: PLC0415
    from larder.doctor.sampling import sample  # noqa: PLC0415
    from larder.kafka.conversations import unavailable  # noqa: PLC0415 - imports Kafka's client
    from larder.kafka.readers import reader  # noqa: PLC0415

    async with reader(scope.connection) as consumer:
        try:
            async with asyncio.timeout(FACTS_SECONDS):
                system = await gather(consumer, scope)
        except TimeoutError as error:
            raise unavailable(scope.connection, f"no answer within {FACTS_SECONDS:g} s") from error
        audited = audits(system)
        read = {}
        for name, each in audited.items():
            topic = system.topics[name]
            read[name] = await sample(consumer, topic, wanted, each.take, _progress(name, wanted, topic.span))
    return examine(system, audited, read), read


def _progress(topic: str, wanted: int | None, total: int) -> Callable[[int], None]:
    """Return a callback that prints the progress on standard error. A sample is too short to need it."""
    reported_at = time.monotonic()

    def report(records: int) -> None:
        nonlocal reported_at
        if wanted is None and time.monotonic() - reported_at > PROGRESS_SECONDS:
            reported_at = time.monotonic()
            click.echo(f"larder: {topic}: {counted(records, 'record')} read, of up to {total:,}", err=True)

    return report


def _show(findings: Sequence[Finding], read: Mapping[str, Read]) -> None:
    for finding in findings:
        severity = finding.severity.name.lower()
        styled = click.style(severity, fg=_COLOURS[severity], bold=True)
        click.echo(f"{styled}  {finding.about}: {printable(finding.seen)}")
        if finding.samples:
            click.echo(f"    found at  {', '.join(map(str, finding.samples))}")
        click.echo(f"    why       {finding.why}")
        for number, step in enumerate(finding.do):
            click.echo(f"    {'fix' if not number else '':<10}{step}")
        click.echo()
    counts = [
        counted(count, name)
        for name in _COLOURS
        if (count := sum(finding.severity.name.lower() == name for finding in findings))
    ]
    examined = sum(each.records for each in read.values())
    whole = "" if all(each.whole for each in read.values()) else " (a sample: --records, or --all)"
    click.echo(
        f"{', '.join(counts) or 'nothing found'}; {counted(examined, 'record')} of"
        f" {counted(len(read), 'topic')} read{whole}"
    )
