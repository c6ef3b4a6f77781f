"""Look up a row, whichever worker holds it."""

from __future__ import annotations

import sys
from typing import Any

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import answer, json_option, many_lines, printable_lines
from larder.cli.terminal.rows import older_than
from larder.client.asking import OK, answered, workers_at
from larder.queries.paths import row_path


@click.command("get")
@click.argument("table")
@click.argument("key")
@at_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, table: str, key: str, at: str | None, as_json: bool) -> None:
    """Look up the row of KEY in TABLE, in the workers that use the same data directory.

    Write keys that are bytes in base64url. Exit code 1: there is no such key. 3: no worker can answer, or the newest
    record of the key was rejected.
    """
    reply = answered(workers_at(at), table, f"key {key}", row_path(table, key))
    found = {"worker": reply.worker.worker, "web": reply.worker.web, **reply.body}
    if reply.status != OK:
        line = f"larder: {reply.body['declared']}: no such key"
        answer(found, as_json=as_json, for_people=lambda: click.echo(line, file=sys.stderr))
        ctx.exit(1)
    answer(found, as_json=as_json, for_people=lambda: _show(found))


def _show(found: dict[str, Any]) -> None:
    click.echo(printable_lines(many_lines(found["row"])))
    revision = "" if found["revision"] is None else f", revision {found['revision']}"
    age = "" if found["freshness_s"] is None else f", read to the end {found['freshness_s']:.1f} s ago"
    if "rejected" in found:
        click.echo(f"larder: {older_than(found['rejected'])}", file=sys.stderr)
    click.echo(
        f"{found['table']}, partition {found['partition']}, offset {found['offset']}{revision}; "
        f"from {found['worker']}: {found['state']}{age}",
        file=sys.stderr,
    )
