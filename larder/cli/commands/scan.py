"""List rows of a table in the order of their keys."""

from __future__ import annotations

import click

from larder.cli.terminal.output import answer, json_option
from larder.cli.terminal.rows import show_rows
from larder.client.asking import at_option, rows_in_pages, workers_at

LARGEST_LIMIT = 100_000
"""Rows are collected before they are shown."""


@click.command("scan")
@click.argument("table")
@click.option("--prefix", help="Keys that begin so; of bytes, in base64url.")
@click.option("--from", "first", metavar="KEY", help="From this key on.")
@click.option("--to", "end", metavar="KEY", help="Up to this key, without it.")
@click.option("--limit", type=click.IntRange(1, LARGEST_LIMIT), default=100, show_default=True)
@click.option("--cursor", metavar="C", help="Go on where an answer ended: what it gave as next.")
@at_option
@json_option
def command(  # noqa: PLR0913 - each is an option
    *,
    table: str,
    prefix: str | None,
    first: str | None,
    end: str | None,
    limit: int,
    cursor: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """List rows of TABLE in the order of their keys, of all workers."""
    given = {"prefix": prefix, "from": first, "to": end}
    chosen = [(name, text) for name, text in given.items() if text is not None]
    listed = rows_in_pages(workers_at(at), table, chosen, limit, cursor)
    found = {"table": table, "rows": listed.rows, "next": listed.next, "unreadable": listed.unreadable}
    answer(found, as_json=as_json, for_people=lambda: show_rows(listed.rows, listed.next, listed.unreadable))
