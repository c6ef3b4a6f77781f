"""Create a project with tables, services, a demo and tests, for you to change into your own."""

from __future__ import annotations

from pathlib import Path

import click

from larder.cli.terminal.output import answer, json_option
from larder.template.writing import write_project


@click.command("new")
@click.argument("name")
@json_option
def command(*, name: str, as_json: bool) -> None:
    """Create a project in the directory NAME, with tables, services, a demo and tests."""
    directory = write_project(name, Path.cwd())
    text = f"{directory} has tables, services, a demo and tests; next: cd {name} && make demo"
    answer({"name": name, "directory": str(directory)}, as_json=as_json, for_people=lambda: click.echo(text))
