"""Show the settings in force, and where each came from."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from app.output import answer, json_option
from app.setting_values import shown
from app.settings import SETTINGS, Loaded, load_settings


@click.command("settings")
@json_option
def command(*, as_json: bool) -> None:
    """Show the settings in force, and where each came from.

    A setting is given by its environment variable (LARDER_WEB_PORT for web_port; KAFKA for kafka), or by its name in
    larder.toml in the working directory, or in the file that LARDER_CONFIG names. The environment comes first.
    """
    loaded = load_settings()
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
    answer({"settings": described}, as_json=as_json, for_people=lambda: Console().print(_table(loaded)))


def _table(loaded: Loaded) -> Table:
    table = Table(box=None)
    for heading in ("setting", "value", "origin"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    table.add_column("meaning")
    for each in SETTINGS:
        value = shown(getattr(loaded.settings, each.name))
        table.add_row(each.name, value, loaded.origins[each.name], each.about)
    return table
