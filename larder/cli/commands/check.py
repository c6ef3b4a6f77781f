"""Check everything that the project declares, without a broker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from larder.cli.terminal.output import answer, json_option
from larder.config.settings import load_settings
from larder.declaring.plurals import counted

if TYPE_CHECKING:
    from larder.config.declared import CheckedProject
    from larder.declaring.service import Service


@click.command("check")
@json_option
def command(*, as_json: bool) -> None:
    """Check everything that the project declares, without a broker.

    Prints what was checked, or exits with 2 and a line for each mistake. `larder doctor` checks what only a broker
    knows.
    """
    from larder.config.declared import checked_project  # noqa: PLC0415 - imports what the user wrote

    checked = checked_project(load_settings().settings.modules)
    found = {
        "modules": list(checked.modules),
        "services": [service.name for service in checked.services],
        "topics": [topic.name for topic in checked.topics],
    }
    answer(found, as_json=as_json, for_people=lambda: _show(checked))


def _show(checked: CheckedProject) -> None:
    click.echo(f"{counted(len(checked.modules), 'module')}: {', '.join(checked.modules)}")
    click.echo(f"{counted(len(checked.topics), 'topic')}: {', '.join(topic.name for topic in checked.topics)}")
    for service in checked.services:
        click.echo(f"service {service.name}: {_parts(service)}")
    click.echo("no mistakes")


def _parts(service: Service) -> str:
    kinds = Counter(each.kind for each in service.operators)
    tables = {"table": len(service.tables)} if service.tables else {}
    return ", ".join(counted(count, kind) for kind, count in (tables | kinds).items()) or "declares nothing"
