"""How commands show rows to people: a line for each, with what a terminal would obey written out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from app.output import printable, show_columns

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_rows(rows: Sequence[dict[str, Any]], following: str | None) -> None:
    """Show rows with their keys; `following` is the cursor of the next page."""
    if rows:
        lines = [
            (printable(str(each["key"])), _told(each, "partition"), _told(each, "revision"), row_text(each["row"]))
            for each in rows
        ]
        show_columns(("key", "partition", "revision", "row"), lines, right=["partition", "revision"])
    else:
        click.echo("larder: no rows", file=sys.stderr)
    if following is not None:
        click.echo(f"larder: there are more: --cursor {following}", file=sys.stderr)


def row_text(row: Any) -> str:
    """Give a row in one line."""
    return "-" if row is None else printable(json.dumps(row, ensure_ascii=False, separators=(",", ":")))


def _told(row: dict[str, Any], name: str) -> str:
    return "-" if row.get(name) is None else str(row[name])
