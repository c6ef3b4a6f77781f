"""How a command answers: for people on a terminal, or as one line of JSON for a program."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from larder.cli.terminal.columns import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JSON_FLAG = "--json"
json_option = click.option(JSON_FLAG, "as_json", is_flag=True, help="Answer with one line of JSON.")


def answer(data: Any, *, as_json: bool, for_people: Callable[[], object]) -> None:
    """Print `data` as one line of JSON, or call `for_people` to print it for a person."""
    if as_json:
        click.echo(one_line(data))
    else:
        for_people()


def show_columns(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a list in columns: shortened to fit a terminal, in full into a file or a pipe."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(columns(headings, rows, right=right, width=width))


def one_line(data: Any) -> bytes:
    """Return `data` as one line of JSON."""
    return msgspec.json.encode(data, enc_hook=str)


def many_lines(data: Any) -> str:
    """Return `data` as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def answer_failure(message: str) -> None:
    """Print an error as one line of JSON; people read it on standard error."""
    click.echo(one_line({"error": message}))


def printable(text: str) -> str:
    """Return foreign text in one line, with control characters escaped as in Python."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def printable_lines(text: str) -> str:
    """Return foreign text with its own lines, and all other control characters escaped as in Python."""
    return "\n".join(map(printable, text.split("\n")))
