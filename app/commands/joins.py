"""Show what became of the records of each join: joined, waiting, parked, with samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from app.asking import at_option, workers_at
from app.errors import MistakeError
from app.local_workers import ask_all
from app.output import answer, json_option, printable, show_columns
from app.settings import load_settings
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.local_workers import Reply

COUNTED = ("hits", "missing", "waited", "released", "expired", "parked", "passed_on", "dropped")
KINDS = ("missing", "expired", "parked")


@click.command("joins")
@click.argument("service", required=False)
@at_option
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Name the newest N records without partner, of all joins together; --json has all.",
)
@json_option
def command(*, service: str | None, at: str | None, samples: int, as_json: bool) -> None:
    """Show the joins of the workers that run here, or of SERVICE: counts by partition, and records without partner.

    Counts begin with each worker's process. The newest records that lacked a row, waited in vain or were parked are
    named by their coordinates; those of parked ones name a dead letter.
    """
    workers = [each for each in workers_at(at) if at or service in {None, each.service}]
    replies = ask_all(workers, "/joins?local=1")
    found = [_of(reply, join) for reply in replies for join in reply.body.get("joins", ())]
    silent = [reply.worker.worker for reply in replies if "joins" not in reply.body]
    if service is not None and at is None and not found and not silent:
        _require_joins(service)
    letters = [_letters(reply) for reply in ask_all(workers, "/services") if "dead_letters" in reply.body]

    def show() -> None:
        _show(found, silent, samples)
        _show_letters(letters)

    answer({"joins": found, "silent": silent, "dead_letters": letters}, as_json=as_json, for_people=show)


def _require_joins(name: str) -> None:
    """Raise `MistakeError` for a service that is not declared, or has no joins."""
    from app.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote

    if not service_named(declared_services(load_settings().settings.modules), name).joins:
        do = "see larder services for what it declares"
        raise MistakeError(Problem(f"service {name}", "requires a service with joins", "no joins", do))


def _of(reply: Reply, join: dict[str, Any]) -> dict[str, Any]:
    return {"service": reply.worker.service, "worker": reply.worker.worker, **join}


def _letters(reply: Reply) -> dict[str, Any]:
    body = reply.body
    return {"service": body["service"], "worker": body["worker"], **body["dead_letters"]}


def _show_letters(letters: Iterable[dict[str, Any]]) -> None:
    for counted in letters:
        for each in counted["inputs"]:
            click.echo(
                f"{each['dead_letters']:,} of {each['records']:,} records of {each['topic']} became dead letters since"
                f" {counted['worker']} started, most of them: {printable(each['cause'])}"
                f" (larder dead-letters list {counted['service']})"
            )


def _show(found: list[dict[str, Any]], silent: list[str], samples: int) -> None:
    for worker in silent:
        click.echo(f"{worker} does not answer")
    if not found:
        click.echo("no worker with joins runs here: larder services lists what can be started")
        return
    rows = [
        (join["into"], join["worker"], str(each["partition"]), *(f"{each.get(name, 0):,}" for name in COUNTED))
        for join in found
        for each in join["partitions"]
    ]
    counted = [name.replace("_", " ") for name in COUNTED]
    show_columns(("into", "worker", "partition", *counted), rows, right=["partition", *counted])
    lines = [line for _, line in sorted(_samples(found), key=lambda each: each[0], reverse=True)]
    for line in lines[:samples]:
        click.echo(line)
    if len(lines) > samples:
        click.echo(f"{len(lines) - samples:,} more: --samples {len(lines)} names all")


def _samples(found: Iterable[dict[str, Any]]) -> Iterable[tuple[float, str]]:
    """Give when each record was seen, and what is said of it."""
    for join in found:
        for partition in join["partitions"]:
            for kind in KINDS:
                for sample in partition.get("samples", {}).get(kind, ()):
                    yield sample.get("at", 0.0), f"{kind}: {_sample(sample)} (into {join['into']})"


def _sample(sample: dict[str, Any]) -> str:
    """Say which record it was and what it lacked."""
    place = f" at {sample['id']}" if sample.get("id") else ""
    lacked = ""
    if sample.get("table"):
        reference = "null" if sample.get("reference") is None else repr(sample["reference"])
        lacked = f" lacks {reference} of {sample['table']}"
    cause = f": {sample['cause']}" if sample.get("cause") else ""
    return printable(f"{sample.get('key')}{place}{lacked}{cause}")
