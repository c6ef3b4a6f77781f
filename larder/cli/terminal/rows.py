"""How commands show rows to people: a line for each, with control characters escaped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from larder.cli.terminal.output import answer, one_line, printable, show_columns
from larder.declaring.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.client.asking import RowList


def answer_list(table: str, listed: RowList, *, as_json: bool) -> None:
    """Answer with a list of rows of a table."""
    found = {"table": table, **listed._asdict()}
    answer(found, as_json=as_json, for_people=lambda: show_rows(*listed))


def show_rows(rows: Sequence[dict[str, Any]], following: str | None = None, unreadable: int = 0) -> None:
    """Show rows with their keys. `following` is the cursor of the next page.

    `unreadable` is the number of keys of the table whose newest record was rejected.
    """
    if rows:
        lines = [
            (printable(str(each["key"])), _field(each, "partition"), _field(each, "revision"), _row_or_cause(each))
            for each in rows
        ]
        show_columns(("key", "partition", "revision", "row"), lines, right=["partition", "revision"])
    else:
        click.echo("larder: no rows", file=sys.stderr)
    for each in rows:
        if each["row"] is not None and "rejected" in each:
            click.echo(f"larder: key {printable(str(each['key']))}: {older_than(each['rejected'])}", file=sys.stderr)
    if unreadable:
        keys = counted(unreadable, "key")
        click.echo(
            f"larder: the newest record of {keys} of the table was rejected: larder get says why", file=sys.stderr
        )
    if following is not None:
        click.echo(f"larder: there are more: --cursor {following}", file=sys.stderr)


def row_text(row: Any) -> str:
    """Return a row in one line."""
    return "-" if row is None else printable(one_line(row).decode())


def older_than(rejected: dict[str, Any]) -> str:
    """Return the warning that the newest record of the key was rejected, and that this row is an older one."""
    return printable(f"this row is older than the rejected record {rejected['at']}: {rejected['cause']}")


def _row_or_cause(row: dict[str, Any]) -> str:
    if row["row"] is None and (rejected := row.get("rejected")) is not None:
        return printable(f"rejected: {rejected['at']}: {rejected['cause']}")
    return row_text(row["row"])


def _field(row: dict[str, Any], name: str) -> str:
    return "-" if row.get(name) is None else str(row[name])
