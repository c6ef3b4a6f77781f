"""A story on the terminal: a line for each record, with a bar from its cause to itself."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from larder.cli.terminal.output import printable, show_columns
from larder.declaring.plurals import counted
from larder.pages.wording import duration
from larder.tracing.story import notes

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH: Final = 24
"""Characters of the bars, in a file and on a wide terminal."""

NARROW_WIDTH: Final = 9
"""Those on a narrow one, which would cut off longer bars."""

WIDE: Final = 120
"""The characters of a line of a wide terminal."""


def show_story(story: Mapping[str, Any]) -> None:
    """Print a story, and what it lacks."""
    steps = story["steps"]
    if steps:
        services = counted(len(story["services"]), "service")
        took = duration(story["took_ms"] / 1000)
        click.echo(f"{printable(story['key'])}: {counted(len(steps), 'record')} of {services} within {took}")
        width = NARROW_WIDTH if sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE else WIDTH
        rows = [_row(step, story["took_ms"], width) for step in steps]
        headings = ("after", "step", "", "service", "worker", "record", "key", "what")
        show_columns(headings, rows, right=["after", "step"])
    for line in notes(story):
        click.echo(printable(line))


def bar(step: Mapping[str, Any], took: int, width: int = WIDTH) -> str:
    """Return a line from when a step's cause happened to when it did itself."""
    scale = (width - 1) / max(took, 1)
    end = round(step["after_ms"] * scale)
    begin = end if step["latency_ms"] is None else round((step["after_ms"] - step["latency_ms"]) * scale)
    return f"{' ' * begin}{'─' * (end - begin)}●"


def _row(step: Mapping[str, Any], took: int, width: int) -> tuple[str, ...]:
    what = step["kind"] if step["note"] is None else f"{step['kind']}: {step['note']}"
    latency = "" if step["latency_ms"] is None else f"+{duration(step['latency_ms'] / 1000)}"
    return (
        duration(step["after_ms"] / 1000),
        latency,
        bar(step, took, width),
        step["service"] or "-",
        printable(step["worker"] or "-"),
        step["id"],
        printable(step["key"] or ""),
        printable(what),
    )
