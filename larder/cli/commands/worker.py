"""Run one worker of a service until it is asked to stop."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from larder.client.brokers import settings_in_use
from larder.config.errors import MistakeError
from larder.declaring.names import folder_problems

if TYPE_CHECKING:
    from larder.group.start_offsets import Fallback
    from larder.local_tables.horizon import Remainder


@click.command("worker")
@click.argument("service")
@click.option("--name", help="Name of this worker and of its directory; <service>-1 if not set.")
@click.option("--web-port", type=click.IntRange(0, 65535), help="Web port; 0 takes a free one.")
@click.option(
    "--inputs-from",
    type=click.Choice(["earliest", "latest"]),
    help="Where to start reading inputs whose committed offsets are lost. Without it, the worker refuses to start.",
)
@click.option(
    "--tables-from",
    type=click.Choice(["earliest"]),
    help="Read tables from what is left of topics that lost records. Without it, the worker refuses to start.",
)
def command(
    service: str,
    name: str | None,
    web_port: int | None,
    inputs_from: Fallback | None,
    tables_from: Remainder | None,
) -> None:
    """Run one worker of SERVICE in the foreground until SIGTERM or Ctrl-C."""
    # Faust and RocksDB take a second to import, and `larder --help` must be fast.
    from larder.config.declared import declared_services, service_named  # noqa: PLC0415
    from larder.process.worker import run_worker  # noqa: PLC0415

    if name is not None and (found := list(folder_problems("option --name", name))):
        raise MistakeError(*found)
    settings = settings_in_use().settings
    mine = service_named(declared_services(settings.modules), service)
    if web_port is not None:
        settings = dataclasses.replace(settings, web_port=web_port)
    run_worker(mine, settings, name or settings.worker or f"{service}-1", inputs_from, tables_from)
