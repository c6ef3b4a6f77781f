"""List the rows of a table in key order."""

from __future__ import annotations

import click

from larder.cli.options import at_option, page_options
from larder.cli.terminal.output import json_option
from larder.cli.terminal.rows import answer_list
from larder.client.asking import rows_in_pages, workers_at

LARGEST_LIMIT = 100_000
"""The command holds all rows in memory before it shows them."""


@click.command("scan")
@click.argument("table")
@click.option("--prefix", help="Only keys with this prefix; bytes in base64url.")
@click.option("--from", "first", metavar="KEY", help="Start at this key.")
@click.option("--to", "end", metavar="KEY", help="Stop before this key.")
@page_options(100, LARGEST_LIMIT)
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
    """List the rows of TABLE in key order, from all workers."""
    given = {"prefix": prefix, "from": first, "to": end}
    chosen = [(name, text) for name, text in given.items() if text is not None]
    listed = rows_in_pages(workers_at(at), table, chosen, limit, cursor)
    answer_list(table, listed, as_json=as_json)
