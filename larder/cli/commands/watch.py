"""Follow the changes of a table until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import json_option, one_line, printable
from larder.cli.terminal.rows import row_text
from larder.client.asking import workers_at
from larder.client.local_workers import decoded
from larder.queries.paths import changes_path

if TYPE_CHECKING:
    from larder.queries.event_stream import ServerSentEvent


@click.command("watch")
@click.argument("table")
@click.option("--prefix", help="Only keys with this prefix; bytes in base64url.")
@at_option
@json_option
def command(*, table: str, prefix: str | None, at: str | None, as_json: bool) -> None:
    """Show the rows of TABLE as they change, one line each, until Ctrl-C.

    If a worker ends, continues with another one after the last change that it showed. With --json each change is one
    line of JSON; the row of a deletion is null.
    """
    from larder.client.changes import Watch  # noqa: PLC0415 - imports the HTTP client

    def report(text: str) -> None:
        click.echo(f"larder: {text}", file=sys.stderr)

    # Do not raise an exception: Python drops one that is raised in a finalizer.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    for event in Watch(table, changes_path(table, prefix), report).events(lambda: workers_at(at)):
        _show(event, as_json=as_json)


def _show(event: ServerSentEvent, *, as_json: bool) -> None:
    if event.name == "reset":
        text = "some changes were missed and are no longer available: larder scan lists the current rows"
        click.echo(f"larder: {text}", file=sys.stderr)
        if as_json:
            click.echo(one_line({"reset": True}))
    elif event.name == "row":
        change = decoded(event.data)
        if as_json:
            click.echo(one_line(change))
        else:
            click.echo(f"{printable(str(change['key']))}  {row_text(change['row'])}")
