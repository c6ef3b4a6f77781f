"""Change the number of partitions in which a service works, while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from larder.cli.terminal.output import answer, json_option
from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from larder.client.scaling import GrowthProgress

SECONDS = 24 * 3600.0
"""How long the command follows a growth. The workers go on without it."""


@click.command("scale")
@click.argument("service")
@click.option("--partitions", type=click.IntRange(1, 10_000), metavar="N", help="The new number of partitions.")
@click.option(
    "--within", type=click.FloatRange(1, 86_400), default=600.0, show_default=True, metavar="SECONDS",
    help="Cancel unless all is copied by then.",
)  # fmt: skip
@click.option("--cancel", is_flag=True, help="Cancel what has begun: the workers go back to the former number.")
@click.option("--tidy", is_flag=True, help="Delete the internal topics of former numbers.")
@json_option
def command(  # noqa: PLR0913 - each is an option
    *, service: str, partitions: int | None, within: float, cancel: bool, tidy: bool, as_json: bool
) -> None:
    """Let SERVICE work in N partitions; without --partitions, follow what has begun.

    Its workers do it while they run. They stop processing records, copy what the service keeps, and go on in the new
    partitions; they answer lookups all the time. The topics of others, and those that others read, stay as they are.
    If the command ends early, the workers go on; run it again to follow. Exit code 1: it was cancelled or refused.
    """
    from larder.client import scaling  # noqa: PLC0415 - imports Kafka's client
    from larder.client.brokers import serving_broker  # noqa: PLC0415
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote

    if sum((partitions is not None, cancel, tidy)) > 1:
        found = "several of --partitions, --cancel and --tidy"
        raise MistakeError(Problem("larder scale", "does one thing at a time", found, "leave the others out"))
    declared = service_named(declared_services(load_settings().settings.modules), service)
    connection, report = serving_broker(), _reporting(as_json=as_json)
    if tidy:
        gone: list[str] = _talk(connection, scaling.tidy(connection, declared))
        answer(
            {"deleted": gone}, as_json=as_json, for_people=lambda: click.echo(f"deleted {', '.join(gone) or 'nothing'}")
        )
        return
    if cancel:
        ended = _talk(connection, scaling.cancel(connection, declared, report))
    elif partitions is None:
        ended = _talk(connection, scaling.follow(connection, declared, report))
    else:
        ended = _talk(connection, scaling.scale(connection, declared, partitions, within, report))
    found_ = ended.as_dict()
    answer({"growth": found_}, as_json=as_json, for_people=lambda: _show(service, found_))
    if found_["phase"] == "refused" or (found_["phase"] == "cancelled" and not cancel):
        raise click.exceptions.Exit(1)


def _talk(connection: Any, conversation: Coroutine[Any, Any, Any]) -> Any:
    from larder.kafka.conversations import talk  # noqa: PLC0415 - imports Kafka's client

    return talk(connection, conversation, SECONDS)


def _reporting(*, as_json: bool) -> Callable[[GrowthProgress], None]:
    """Return what prints each change on standard error."""
    last = ""

    def report(progress: GrowthProgress) -> None:
        nonlocal last
        found = progress.as_dict()
        line = found["phase"]
        if found["to_copy"]:
            line = f"copying: {found['copied']:,} of {found['to_copy']:,} offsets"
        if line != last and not as_json:
            click.echo(f"larder: {line}", err=True)
        last = line

    return report


def _show(service: str, found: dict[str, Any]) -> None:
    partitions = ", ".join(map(str, found.get("partitions", ())))
    texts = {
        "none": f"{service} has never been scaled",
        "done": f"{service} works in {partitions} partitions",
        "refused": f"refused: {found.get('reason')}",
        "cancelled": f"cancelled, {service} works as before: {found.get('reason')}",
    }
    click.echo(texts[found["phase"]])
