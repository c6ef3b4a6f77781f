"""Show what happened to the records that a service took, with samples of its joins."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from larder.cli.options import at_option
from larder.cli.terminal.outcomes import show_outcomes, show_samples
from larder.cli.terminal.output import answer, json_option, printable
from larder.client.asking import workers_at
from larder.client.local_workers import ask_all
from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.observability.outcomes import JOIN, outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from larder.client.local_workers import Reply

KINDS = ("joins", "decides", "folds", "reactions", "agents")
LISTS = (*KINDS, "operators")
"""The lists in the answer of this command. The last one has all other kinds."""

ANY = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"


@click.command("joins")
@click.argument("service", required=False)
@at_option
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Show the newest N records without a partner, over all joins; --json has all.",
)
@json_option
def command(*, service: str | None, at: str | None, samples: int, as_json: bool) -> None:
    """Show joins, decides, folds, reactions and agents with their counts, of all workers here or of SERVICE.

    Counts start with each worker's process; those of joins are by partition. The newest records that lacked a row,
    expired after a wait or became dead letters are named by their coordinates, which also name the dead letter.
    """
    workers = [each for each in workers_at(at) if at or service in {None, each.service}]
    joins, others = ask_all(workers, "/joins?local=1"), ask_all(workers, "/services")
    if service is not None and at is not None:
        _require_service(service, at, others)
    services = {each.worker: each.body.get("service", each.worker.service) for each in others}
    found = {
        "joins": [
            {"service": services[reply.worker], "worker": reply.worker.worker, **join}
            for reply in joins
            for join in reply.body.get("joins", ())
        ],
        **_counted(others),
        "silent": [one.worker.worker for one, other in zip(joins, others, strict=True) if _is_silent(one, other)],
        "dead_letters": [_letters(reply) for reply in others if "dead_letters" in reply.body],
    }

    if service is not None and at is None and not found["silent"] and not any(found[kind] for kind in LISTS):
        _require_outcomes(service)

    def show() -> None:
        _show(found, service, samples)

    answer(found, as_json=as_json, for_people=show)


def _is_silent(joins: Reply, services: Reply) -> bool:
    return "joins" not in joins.body or "joins" not in services.body


def _require_service(name: str, at: str, replies: Iterable[Reply]) -> None:
    """Raise `MistakeError` if the worker at an address belongs to another service."""
    for other in (each.body["service"] for each in replies if "service" in each.body):
        if other != name:
            do = f"leave SERVICE out, or name {other}"
            raise MistakeError(Problem(f"--at {at}", f"requires a worker of {name}", f"one of {other}", do))


def _require_outcomes(name: str) -> None:
    """Raise `MistakeError` if a service is not declared or has no operators."""
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote

    service = service_named(declared_services(load_settings().settings.modules), name)
    if not service.operators:
        do = "see larder services for what it declares"
        raise MistakeError(Problem(f"service {name}", f"requires {ANY}", "none of them", do))


def _counted(replies: Sequence[Reply]) -> dict[str, list[dict[str, Any]]]:
    """Return what each worker reports of its operators except joins, by the name of the list."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS[1:]}
    for reply in replies:
        for each in outcomes(reply.body):
            if each["kind"] != JOIN:
                entry = {"service": reply.body["service"], "worker": reply.worker.worker, **each}
                found.get(f"{each['kind']}s", found["operators"]).append(entry)
    return found


def _letters(reply: Reply) -> dict[str, Any]:
    body = reply.body
    return {"service": body["service"], "worker": body["worker"], **body["dead_letters"]}


def _show(found: dict[str, Any], service: str | None, samples: int) -> None:
    for worker in found["silent"]:
        click.echo(f"{worker} does not answer")
    if any(found[kind] for kind in LISTS):
        show_outcomes(found["joins"], chain.from_iterable(found[kind] for kind in LISTS[1:]))
        show_samples(found["joins"], samples)
    elif not found["silent"]:
        lacking = f"of {service}" if service else f"with {ANY}"
        click.echo(f"no worker {lacking} runs here: larder services lists the services to start")
    for counted in found["dead_letters"]:
        _show_letters(counted)


def _show_letters(counted: dict[str, Any]) -> None:
    for each in counted["inputs"]:
        click.echo(
            f"{each['dead_letters']:,} of {each['records']:,} records of {each['topic']} became dead letters since"
            f" {counted['worker']} started, most of them: {printable(each['cause'])}"
            f" (larder dead-letters list {counted['service']})"
        )
