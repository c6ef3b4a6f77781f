"""How a command answers: for people on a terminal, or as one line of JSON for a program. Decides nothing else."""

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
    """Print `data` as one line of JSON, or let `for_people` print what a person wants to read."""
    if as_json:
        click.echo(one_line(data))
    else:
        for_people()


def show_columns(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a list in columns: shortened to a terminal, whole where it goes into a file or to another program."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(columns(headings, rows, right=right, width=width))


def one_line(data: Any) -> bytes:
    """Give `data` as one line of JSON."""
    return msgspec.json.encode(data, enc_hook=str)


def many_lines(data: Any) -> str:
    """Give `data` as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def answer_failure(message: str) -> None:
    """Print why there is no other answer, as one line of JSON; people read it on standard error."""
    click.echo(one_line({"error": message}))


def printable(text: str) -> str:
    """Give a text that somebody else wrote in one line, with what a terminal would obey written as in Python."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def printable_lines(text: str) -> str:
    """Give the same in the lines that it has."""
    return "\n".join(map(printable, text.split("\n")))
