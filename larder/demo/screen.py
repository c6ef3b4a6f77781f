"""What a demo prints: a live table on a terminal, plain lines every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from larder.demo.lines import WorkerLine

# Seconds between two rounds of plain lines, so that the log of half a minute is short enough to read.
PLAIN_SECONDS = 5.0


class Screen(Protocol):
    """The place where a demo prints."""

    def say(self, text: str) -> None:
        """Show a message."""

    def show(self, lines: Sequence[WorkerLine], summary: str) -> None:
        """Show the current state of the workers."""


class PlainScreen:
    """Plain lines, on standard error if a program reads standard output."""

    def __init__(self, *, to_stderr: bool) -> None:
        """Create a screen that shows nothing yet."""
        self._to_stderr = to_stderr
        self._shown_at = 0.0

    def say(self, text: str) -> None:
        """Write a line."""
        click.echo(text, err=self._to_stderr)

    def show(self, lines: Sequence[WorkerLine], summary: str) -> None:
        """Write a line for each worker, at most every `PLAIN_SECONDS`."""
        if time.monotonic() - self._shown_at >= PLAIN_SECONDS:
            self._shown_at = time.monotonic()
            for text in (*(each.plain() for each in lines), summary):
                self.say(text)


class LiveScreen:
    """A table that is redrawn in place, below the messages."""

    def __init__(self, live: Live) -> None:
        """Draw on `live`, which the caller starts and stops."""
        self._live = live

    def say(self, text: str) -> None:
        """Write a line above the table."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, lines: Sequence[WorkerLine], summary: str) -> None:
        """Draw the table."""
        table = Table(box=None)
        for heading in ("worker", "state", "records/s", "lag", "joined", "missed", "waiting"):
            table.add_column(heading, justify="left" if heading in {"worker", "state"} else "right")
        for each in lines:
            lag = "?" if each.lag is None else f"{each.lag:,}"
            counts = (f"{count:,}" for count in (each.joined, each.missing, each.waiting))
            table.add_row(each.worker, each.state, f"{each.rate:,.0f}", lag, *counts)
        self._live.update(Group(table, Text(summary)), refresh=True)


@contextlib.contextmanager
def new_screen(*, as_json: bool) -> Iterator[Screen]:
    """Yield the screen for a terminal or a pipe, depending on standard output."""
    if as_json or not sys.stdout.isatty():
        yield PlainScreen(to_stderr=as_json)
        return
    with Live(auto_refresh=False) as live:
        yield LiveScreen(live)
