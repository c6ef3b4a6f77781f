"""List the declared services and the workers that run here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import answer, json_option
from larder.client.asking import workers_at
from larder.client.local_workers import ask_all
from larder.config.settings import load_settings
from larder.declaring.operators import LISTS
from larder.declaring.plurals import counted
from larder.observability import growths
from larder.observability.sums import over_all, summed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from larder.client.local_workers import Reply
    from larder.declaring.service import Service


@click.command("services")
@at_option
@json_option
def command(*, at: str | None, as_json: bool) -> None:
    """List the declared services: tables, joins, and the workers that use the same data directory.

    With --at, ask the worker at that address instead.
    """
    from larder.config.declared import declared_services  # noqa: PLC0415 - imports what the user wrote

    services = declared_services(load_settings().settings.modules)
    replies = ask_all(workers_at(at), "/services")
    found = [_described(service, replies) for service in services.values()]
    others = [_other(reply) for reply in replies if _service(reply) not in services]

    def show() -> None:
        for service, described in zip(services.values(), found, strict=True):
            _show(service, described)
        _show_others(others)

    answer({"services": found, "others": others}, as_json=as_json, for_people=show)


def _service(reply: Reply) -> str:
    """Return the service of a worker; "" for one given by address that did not answer."""
    name: str = reply.worker.service or reply.body.get("service", "")
    return name


def _other(reply: Reply) -> dict[str, Any]:
    return {"worker": _worker(reply), "web": reply.worker.web, "service": _service(reply) or None}


def _worker(reply: Reply) -> str:
    name: str = reply.body.get("worker", reply.worker.worker)
    return name


def _described(service: Service, replies: list[Reply]) -> dict[str, Any]:
    mine = [reply for reply in replies if _service(reply) == service.name]
    workers = [_running(reply) for reply in mine]
    return {
        "service": service.name,
        "state": ", ".join(sorted({each["phase"] for each in workers})) or None,
        "lag": over_all(sum, [each["lag"] for each in workers]),
        "growth": growths.of_all(reply.body.get("growth") for reply in mine),
        "tables": [{"table": use.name, "held": use.held, **_held(use.name, mine)} for use in service.tables],
        **{
            listed_as: [each.outline() for each in service.operators if each.listed_as == listed_as]
            for listed_as in LISTS
        },
        "rekeyings": summed((each for reply in mine for each in reply.body.get("rekeyings", ())), "name"),
        "workers": workers,
    }


def _held(table: str, replies: list[Reply]) -> dict[str, Any]:
    """Return the state and the lag of a table over all workers that hold it; None if no worker does."""
    partitions = [
        partition
        for reply in replies
        for each in reply.body.get("tables", ())
        if each["table"] == table
        for partition in each["partitions"]
    ]
    states = sorted({each["phase"].replace("_", " ") for each in partitions})
    return {"state": ", ".join(states) or None, "lag": over_all(sum, [each["lag"] for each in partitions])}


def _lags(body: Mapping[str, Any]) -> list[int | None]:
    """Return the lags of the inputs. A worker without inputs only reacts to tables: return the lags of those."""
    inputs = [each["lag"] for each in body.get("inputs", ())]
    return inputs or [each["lag"] for table in body.get("tables", ()) for each in table["partitions"]]


def _running(reply: Reply) -> dict[str, Any]:
    return {
        "worker": _worker(reply),
        "pid": reply.worker.pid or None,
        "web": reply.worker.web,
        "phase": reply.body.get("phase", "no answer"),
        "processed": reply.body.get("processed"),
        "lag": over_all(sum, _lags(reply.body)),
        "joins": reply.body.get("joins", []),
    }


def _show(service: Service, found: dict[str, Any]) -> None:
    click.echo(click.style(service.name, bold=True) + _state(found))
    if found["growth"] is not None:
        click.echo(f"  {growths.line(found['growth'])}")
    lines = [*_tables(found), *_operators(service)]
    # Services below each other usually have equal columns.
    width = max([len("decide"), *(len(kind) for kind, _ in lines)])
    for kind, rest in lines:
        click.echo(f"  {kind:<{width}} {rest}")
    _show_running(found)


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table in found["tables"]:
        kind = "global" if table["held"] == "global" else "co-partitioned"
        yield "table", f"{table['table']} ({kind}){_state(table)}"


def _operators(service: Service) -> Iterator[tuple[str, str]]:
    for operator in sorted(service.operators, key=lambda each: LISTS.index(each.listed_as)):
        kind, _, rest = operator.sentence().partition(" ")
        yield kind, rest


def _show_others(others: list[dict[str, Any]]) -> None:
    for other in others:
        text = "does not answer"
        if other["service"] is not None:
            text = f"belongs to {other['service']}, which is not declared here"
        click.echo(f"{other['worker']} {text}")


def _show_running(service: dict[str, Any]) -> None:
    for each in service["rekeyings"]:
        if each["dropped"]:
            click.echo(f"  left out of {each['name']}: {counted(each['dropped'], 'record')} with null in its field")
    for worker in service["workers"]:
        place = worker["web"] if worker["pid"] is None else f"process {worker['pid']}, {worker['web']}"
        click.echo(f"  worker {worker['worker']}: {worker['phase']}, lag {_lag(worker)} ({place})")
    if not service["workers"]:
        click.echo("  no worker runs here")


def _state(measured: dict[str, Any]) -> str:
    return "" if measured["state"] is None else f": {measured['state']}, lag {_lag(measured)}"


def _lag(measured: dict[str, Any]) -> str:
    return "?" if measured["lag"] is None else f"{measured['lag']:,}"
