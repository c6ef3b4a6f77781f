"""Look a row up in the tables of the workers that run here."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

from app.errors import MistakeError, UnavailableError
from app.local_workers import ask, local_workers, row_path
from app.output import answer, json_option
from app.settings import load_settings
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from app.local_workers import Reply

FOUND, NOT_A_KEY, NO_SUCH_KEY = 200, 400, 404


@click.command("get")
@click.argument("table")
@click.argument("key")
@json_option
@click.pass_context
def command(ctx: click.Context, *, table: str, key: str, as_json: bool) -> None:
    """Look the row of KEY up in TABLE, in the workers that run out of the same data directory.

    Keys that are bytes are written in base64url. Exit code 1: there is no such key. 3: no worker here can say.
    """
    settings = load_settings().settings
    replies = []
    for worker in local_workers(settings.directory):
        reply = ask(worker, row_path(table, key))
        if reply.status in {FOUND, NOT_A_KEY} or (reply.status == NO_SUCH_KEY and reply.kind == "no-such-key"):
            _tell(ctx, reply, as_json=as_json)
            return
        replies.append(reply)
    raise _nobody(table, key, replies, settings.modules)


def _tell(ctx: click.Context, reply: Reply, *, as_json: bool) -> None:
    if reply.status == NOT_A_KEY:
        body = reply.body
        raise MistakeError(Problem(body["declared"], f"requires {body['requires']}", body["found"], body["do"]))
    said = {**reply.body, "worker": reply.worker.worker, "web": reply.worker.web}
    if reply.status == NO_SUCH_KEY:
        line = f"larder: {reply.body['declared']}: no such key"
        answer(said, as_json=as_json, for_people=lambda: click.echo(line, file=sys.stderr))
        ctx.exit(1)
    answer(said, as_json=as_json, for_people=lambda: _show(said))


def _show(found: dict[str, Any]) -> None:
    click.echo(orjson.dumps(found["row"], option=orjson.OPT_INDENT_2))
    revision = "" if found["revision"] is None else f", revision {found['revision']}"
    age = "" if found["freshness_s"] is None else f", the end of the topic was met {found['freshness_s']:.1f} s ago"
    click.echo(
        f"{found['table']}, partition {found['partition']}, offset {found['offset']}{revision}; "
        f"from {found['worker']}: {found['state']}{age}",
        file=sys.stderr,
    )


def _nobody(table: str, key: str, replies: list[Reply], modules: tuple[str, ...]) -> MistakeError | UnavailableError:
    """Say why no worker could answer."""
    from app.declared import declared_services  # noqa: PLC0415 - imports what the user wrote

    services = declared_services(modules).values()
    holders = {use.name: service.name for service in services for use in service.tables}
    if table not in holders:
        near = difflib.get_close_matches(table, holders, 1)
        do = f"did you mean {near[0]}?" if near else "see larder services for what is declared"
        found = f"none of that name, but {', '.join(holders) or 'no table at all'}"
        return MistakeError(Problem(f"table {table}", "requires a declared table", found, do))
    declared = f"table {table}, key {key}"
    requires = "requires a local worker that holds the key and knows its table's end"
    found = "; ".join(f"{each.worker.worker}: {each.said}" for each in replies) or "no local worker at all"
    do = (
        f"start one: larder worker {holders[table]}"
        if not replies
        else "ask again, or start the worker that is missing"
    )
    return UnavailableError(Problem(declared, requires, found, do))
