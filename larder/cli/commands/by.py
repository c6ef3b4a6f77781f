"""List the rows of a table that have a value in an index."""

from __future__ import annotations

import click

from larder.cli.commands.scan import LARGEST_LIMIT
from larder.cli.options import at_option, page_options
from larder.cli.terminal.output import json_option
from larder.cli.terminal.rows import answer_list
from larder.client.asking import rows_in_pages, workers_at


@click.command("by")
@click.argument("table")
@click.argument("index")
@click.argument("value")
@page_options(100, LARGEST_LIMIT)
@at_option
@json_option
def command(  # noqa: PLR0913 - each is an option
    *, table: str, index: str, value: str, limit: int, cursor: str | None, at: str | None, as_json: bool
) -> None:
    """List the rows of TABLE whose indexed field INDEX is VALUE, in key order."""
    chosen = [("index", index), ("value", value)]
    listed = rows_in_pages(workers_at(at), table, chosen, limit, cursor)
    answer_list(table, listed, as_json=as_json)
