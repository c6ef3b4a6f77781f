"""Send a request that changes a row, until there is an answer."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import click

from larder.cli.options import at_option
from larder.cli.terminal.output import answer, json_option, many_lines, printable, printable_lines
from larder.client.asking import workers_at
from larder.client.requests import Sending, new_trace, require_sendable, send


@click.command("request")
@click.argument("address")
@click.argument("body", required=False, metavar="[JSON | -]")
@click.option("--once", metavar="KEY", help="The Idempotency-Key: with the same one, the request counts once.")
@click.option(
    "--within",
    metavar="SECONDS",
    type=click.FloatRange(0, 3_600),
    default=30.0,
    show_default=True,
    help="How long to send it again while there is no answer.",
)
@at_option
@json_option
@click.pass_context
def command(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    address: str,
    body: str | None,
    once: str | None,
    within: float,
    at: str | None,
    as_json: bool,
) -> None:
    """Send a request to ADDRESS, as "POST /orders" or "POST /orders/o1/cancel", and print the row that it leaves.

    Takes its fields from JSON or, with -, from standard input. Any worker that uses the same data directory takes it.
    While there is no answer, or none can be given yet, the command sends it again with the same Idempotency-Key, which
    is random unless --once gives one, so that it counts once. The request begins a trace: larder trace KEY tells what
    came of it. Exit code 1: the service refused the request, or it is
    not valid. 3: there was no answer in time.
    """
    given = (sys.stdin.read() if body == "-" else body or "").encode()
    sending = Sending(address, given, once or str(uuid4()), new_trace())
    require_sendable(sending)
    reply = send(
        sending, lambda: workers_at(at), within, lambda text: click.echo(f"larder: {printable(text)}", err=True)
    )
    found = reply.body
    if reply.status >= HTTPStatus.BAD_REQUEST:
        line = f"larder: {printable(str(found.get('detail') or reply.said))}"
        answer(found, as_json=as_json, for_people=lambda: click.echo(line, err=True))
        ctx.exit(1)
    answer(found, as_json=as_json, for_people=lambda: _show(sending, found))


def _show(sending: Sending, found: dict[str, Any]) -> None:
    click.echo(printable_lines(many_lines(found["row"])))
    revision = "" if found["revision"] is None else f", revision {found['revision']}"
    click.echo(
        f"{found['table']}, key {printable(str(found['key']))}, partition {found['partition']}{revision}; "
        f"decided by {found['worker']}; Idempotency-Key {sending.once}",
        err=True,
    )
