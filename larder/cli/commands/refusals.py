"""List the events and requests that a service refused, and count them by reason."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from larder.cli.conversations import LIST_SECONDS, talk_about
from larder.cli.options import page_options
from larder.cli.terminal.output import answer, json_option

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from larder.config.connection import Connection
    from larder.dead_letters.pages import LetterPage
    from larder.dead_letters.tallying import Tally
    from larder.declaring.service import Service

LARGEST_LIMIT = 10_000


@click.command("refusals")
@click.argument("service")
@click.option("--state", metavar="TABLE", help="Only refusals for rows of TABLE.")
@click.option("--reason", metavar="TEXT", help="Only refusals whose reason contains TEXT; case is ignored.")
@page_options(50, LARGEST_LIMIT)
@json_option
def command(  # noqa: PLR0913 - each is an option
    *, service: str, state: str | None, reason: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List the newest events that the decides of SERVICE refused, and count them by reason.

    Refusals are normal results and need no action. Reads the newest 100,000 records of SERVICE.refusals.
    """
    from larder.cli.terminal.letters import show_refusals  # noqa: PLC0415
    from larder.dead_letters.reading import newest_letters  # noqa: PLC0415 - imports Kafka's client
    from larder.dead_letters.refusals import REFUSALS, chosen, described_refusals  # noqa: PLC0415

    wanted = partial(chosen, state, reason)

    def read(connection: Connection, _: Service) -> Coroutine[Any, Any, tuple[LetterPage, Tally | None]]:
        return newest_letters(connection, service, limit, cursor, wanted, kind=REFUSALS)

    found = described_refusals(*talk_about(service, read, LIST_SECONDS))
    answer(found, as_json=as_json, for_people=lambda: show_refusals(service, found))
