"""How `larder calls` shows calls to people. Control characters in foreign text are escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from larder.cli.terminal.output import printable, show_columns
from larder.clock import now
from larder.pages.wording import duration


def show_calls(service: str, found: Sequence[Mapping[str, Any]]) -> None:
    """Show each call, how it stands, and those that are not done."""
    if not found:
        click.echo(f"{service} declares no calls")
    for call in found:
        click.echo(_line(call, now()))
        if call["stored"]:
            rows = [_row(each, now()) for each in call["stored"]]
            show_columns(("id", "event key", "state", "attempt", "age", "due", "last failure"), rows, right=["attempt"])
        if call["next"]:
            click.echo(f"larder: there are more of {call['name']}: --cursor {call['next']}", err=True)


def _line(call: Mapping[str, Any], at: float) -> str:
    parts = [f"{call['waiting']:,} not done", f"{call['running']:,} running"]
    if call["oldest"] is not None:
        parts.append(f"the oldest for {duration(at - call['oldest'])}")
    if call["hanging"]:
        parts.append(f"{call['hanging']:,} out of time")
    parts += [f"breaker {state} on {worker}" for worker, state in call["breakers"].items()]
    if call["full"]:
        parts.append(f"full in partitions {', '.join(map(str, call['full']))}")
    return f"{click.style(call['name'], bold=True)}: {', '.join(parts)}"


def _row(call: Mapping[str, Any], at: float) -> Sequence[str]:
    due = f"in {duration(call['due'] - at)}" if call["due"] > at else "now"
    if call["begun"] is not None:
        due = f"on {printable(call['begun']['worker'])} for {duration(max(0.0, at - call['begun']['at']))}"
    return (
        call["id"],
        printable(call["event_key"]),
        call["state"],
        f"{call['attempt']:,}",
        duration(max(0.0, at - call["since"])),
        due,
        printable(call["cause"] or "-"),
    )
