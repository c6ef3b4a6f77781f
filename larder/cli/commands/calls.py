"""List the calls of a service that are not done, call now, or give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from larder.cli.options import at_option, page_options
from larder.cli.terminal.output import answer, json_option
from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.client.call_orders import What
    from larder.client.calls import CallList, CallReader

LARGEST_LIMIT = 10_000

SECONDS = 120.0
"""For up to 10,000 orders, and until the workers have processed them."""

SEEN_SECONDS = 10.0
"""How long to wait until a worker shows what an order did; it has been processed by then."""


@click.group("calls")
def command() -> None:
    """List the calls of a service that are not done, call now, or give up.

    A call that is given up, or whose result cannot be published, is not listed. Unless its declaration says otherwise,
    it is a dead letter: "larder dead-letters replay" makes it again, with the same idempotency key.
    """


@command.command("list")
@click.argument("service")
@click.argument("call", required=False)
@click.option("--state", type=click.Choice(["waiting", "running", "retrying"]), help="Only calls in this state.")
@page_options(50, LARGEST_LIMIT)
@at_option
@json_option
def list_(  # noqa: PLR0913 - each is an option
    *, service: str, call: str | None, state: str | None, limit: int, cursor: str | None, at: str | None, as_json: bool
) -> None:
    """List the calls of SERVICE that are not done: those of CALL, or of all its calls.

    A call waits for its first attempt (waiting), is under way (running), or has failed and is made again (retrying).
    Any worker of SERVICE on this machine answers for all of them.
    """
    from larder.cli.terminal.calls import show_calls  # noqa: PLC0415
    from larder.pages import totals  # noqa: PLC0415 - imports what pages are made of

    if cursor is not None and call is None:
        raise MistakeError(Problem("--cursor", "requires the call whose list it continues", "none", "name the call"))
    found = []
    for reader in _readers(service, call, at):
        listed = reader.listed(limit, cursor, state)
        (stands,) = [each for each in totals.calls(reader.standing()) if each["name"] == reader.call]
        found.append({**stands, "stored": listed.calls, "next": listed.next})
    answer({"service": service, "calls": found}, as_json=as_json, for_people=lambda: show_calls(service, found))


@command.command()
@click.argument("service")
@click.argument("call")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help=f"All calls that have failed, at most {LARGEST_LIMIT:,}.")
@at_option
@json_option
def retry(  # noqa: PLR0913 - each is an option
    *, service: str, call: str, ids: tuple[str, ...], every: bool, at: str | None, as_json: bool
) -> None:
    """Make the calls with these IDs now, rather than when their pause is over.

    Each is made in its turn: after earlier ones of its key, while its row allows it, and while the breaker is closed.
    Waits up to 30 s until the workers have taken note. For calls that were given up: larder dead-letters replay.
    """
    if bool(ids) == every:
        found = "both" if every else "neither"
        raise MistakeError(Problem("larder calls retry", "requires IDs or --all", found, "give one of them"))
    (reader,) = _readers(service, call, at)
    chosen = reader.listed(LARGEST_LIMIT, state="retrying") if every else _chosen(reader, ids)
    waiting = [each for each in chosen.calls if each["state"] != "running"]
    _order(service, "retry", chosen._replace(calls=waiting))
    result = {
        "retried": [each["id"] for each in waiting],
        "running": [each["id"] for each in chosen.calls if each["state"] == "running"],
        "more": chosen.next is not None,
    }
    answer(result, as_json=as_json, for_people=lambda: _show_retried(call, result))


@command.command()
@click.argument("service")
@click.argument("call")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@at_option
@json_option
def skip(*, service: str, call: str, ids: tuple[str, ...], at: str | None, as_json: bool) -> None:
    """Give up the calls with these IDs: they are not made any more.

    What the declaration says in `otherwise` is published for each; without it, its event becomes a dead letter. A call
    that is under way cannot be skipped, since it may have been done. One that is done just before the workers read the
    order counts as skipped: it is not made any more either. Exit code 1: some calls could not be skipped.
    """
    (reader,) = _readers(service, call, at)
    chosen = _chosen(reader, ids)
    waiting = [each["id"] for each in chosen.calls if each["state"] != "running"]
    token = _order(service, "skip", chosen._replace(calls=[each for each in chosen.calls if each["id"] in waiting]))
    left = {each["id"]: each for each in chosen.calls if each["id"] not in waiting}
    left |= {id_: found for id_ in waiting if (found := reader.one(id_, token, SEEN_SECONDS)) is not None}
    result = {
        "skipped": [id_ for id_ in waiting if id_ not in left],
        "left": [{"id": id_, "why": str(_under_way(call, service, found))} for id_, found in left.items()],
    }
    answer(result, as_json=as_json, for_people=lambda: _show_skipped(call, result))
    if left:
        click.get_current_context().exit(1)


def _readers(service: str, call: str | None, at: str | None) -> list[CallReader]:
    """Return the readers of one call of a service, or of all."""
    from larder.client.calls import CallReader, call_named  # noqa: PLC0415
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415 - imports what the user wrote

    declared = service_named(declared_services(load_settings().settings.modules), service)
    calls = declared.calls if call is None else [call_named(declared, call)]
    return [CallReader(declared, each.name, at) for each in calls]


def _chosen(reader: CallReader, ids: tuple[str, ...]) -> CallList:
    """Return the calls with these ids, each once; raise MistakeError if any of them is not there."""
    known = reader.listed(1)
    found = {id_: reader.one(id_) for id_ in dict.fromkeys(ids)}
    if unknown := [id_ for id_, each in found.items() if each is None]:
        raise MistakeError(*(_unknown(reader, id_) for id_ in unknown))
    return known._replace(calls=[each for each in found.values() if each is not None], next=None)


def _unknown(reader: CallReader, id_: str) -> Problem:
    do = (
        f"see larder calls list {reader.service} {reader.call}; a call that was given up is a dead letter, which "
        f"larder dead-letters replay {reader.service} makes again"
    )
    return Problem(f"call {id_} of {reader.call}", "requires a call that is not done", "none: done, or given up", do)


def _under_way(call: str, service: str, found: dict[str, Any]) -> Problem:
    began = found["begun"]
    at = "one that ended meanwhile" if began is None else f"one on worker {began['worker']}"
    return Problem(
        f"call {found['id']} of {call}", "is skipped between two attempts", at,
        f"wait for its outcome, then look again: larder calls list {service} {call}",
    )  # fmt: skip


def _order(service: str, what: What, chosen: CallList) -> str:
    """Give the orders, and return the token of what they wrote; "" if there are none."""
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.client.call_orders import order  # noqa: PLC0415
    from larder.kafka.conversations import talk  # noqa: PLC0415

    if not chosen.calls:
        return ""
    connection = serving_broker()
    return talk(connection, order(connection, service, what, chosen), SECONDS)


def _show_retried(call: str, result: dict[str, Any]) -> None:
    click.echo(f"{call}: {len(result['retried']):,} due now, {len(result['running']):,} under way")
    if result["more"]:
        click.echo("larder: there are more: run it again", err=True)


def _show_skipped(call: str, result: dict[str, Any]) -> None:
    for each in result["left"]:
        click.echo(f"larder: {each['why']}", err=True)
    click.echo(f"{call}: {len(result['skipped']):,} skipped, {len(result['left']):,} left")
