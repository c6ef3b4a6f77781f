"""List rows of a table that have a value in an index."""

from __future__ import annotations

import click

from larder.cli.commands.scan import LARGEST_LIMIT
from larder.cli.terminal.output import answer, json_option
from larder.cli.terminal.rows import show_rows
from larder.client.asking import at_option, rows_in_pages, workers_at


@click.command("by")
@click.argument("table")
@click.argument("index")
@click.argument("value")
@click.option("--limit", type=click.IntRange(1, LARGEST_LIMIT), default=100, show_default=True)
@click.option("--cursor", metavar="C", help="Go on where an answer ended: what it gave as next.")
@at_option
@json_option
def command(  # noqa: PLR0913 - each is an option
    *, table: str, index: str, value: str, limit: int, cursor: str | None, at: str | None, as_json: bool
) -> None:
    """List rows of TABLE whose field INDEX, one of its indexes, is VALUE; in the order of their keys."""
    chosen = [("index", index), ("value", value)]
    listed = rows_in_pages(workers_at(at), table, chosen, limit, cursor)
    found = {"table": table, "rows": listed.rows, "next": listed.next, "unreadable": listed.unreadable}
    answer(found, as_json=as_json, for_people=lambda: show_rows(listed.rows, listed.next, listed.unreadable))
