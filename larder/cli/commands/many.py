"""Look up several rows of a table at once."""

from __future__ import annotations

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import answer, json_option
from larder.cli.terminal.rows import show_rows
from larder.client.asking import rows_of_keys, workers_at


@click.command("many")
@click.argument("table")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@at_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, table: str, keys: tuple[str, ...], at: str | None, as_json: bool) -> None:
    """Look up the rows of KEYs in TABLE, in the order of the keys, whichever workers hold them.

    Exit code 1: some keys certainly have no row. 3: no worker can answer, or the newest record of a key was rejected.
    """
    rows = rows_of_keys(workers_at(at), table, keys)
    answer({"table": table, "rows": rows}, as_json=as_json, for_people=lambda: show_rows(rows))
    absent = [each for each in rows if each["row"] is None]
    if absent:
        ctx.exit(3 if any("rejected" in each for each in absent) else 1)
