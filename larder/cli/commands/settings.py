"""Show the settings in force and where each came from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from larder.cli.terminal.output import answer, json_option, show_columns
from larder.client.brokers import settings_in_use
from larder.config.settings import SETTINGS
from larder.config.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.config.settings import Loaded


@click.command("settings")
@json_option
def command(*, as_json: bool) -> None:
    """Show the settings in force and where each came from.

    A setting comes from its environment variable (LARDER_WEB_PORT for web_port; KAFKA for kafka), or by its name from
    larder.toml in the working directory, or from the file that LARDER_CONFIG names. The environment comes first. If
    nothing sets kafka and a local broker runs, commands use that one, and its address is shown.
    """
    loaded = settings_in_use()
    described = {
        each.name: {
            "value": getattr(loaded.settings, each.name),
            "origin": loaded.origins[each.name],
            "variable": each.variable,
            "default": each.default,
            "about": each.about,
        }
        for each in SETTINGS
    }
    answer({"settings": described}, as_json=as_json, for_people=lambda: _show(loaded))


def _show(loaded: Loaded) -> None:
    headings = ("setting", "value", "origin", "meaning")
    rows = [
        (each.name, shown(getattr(loaded.settings, each.name)), loaded.origins[each.name], each.about)
        for each in SETTINGS
    ]
    if sys.stdout.isatty():
        Console().print(_table(headings, rows))
    else:
        show_columns(headings, rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table that folds text wider than the terminal."""
    table = Table(box=None)
    for heading in headings[:-1]:
        table.add_column(heading, no_wrap=True, overflow="fold")
    table.add_column(headings[-1])
    for row in rows:
        table.add_row(*row)
    return table
