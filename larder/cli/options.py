"""Options that several commands have, each with one name and one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

at_option = click.option("--at", metavar="URL", help="Query the worker at URL instead of those on this machine.")


def page_options(usual: int, largest: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a command list up to `--limit` entries, `usual` of them by default, from a `--cursor` on."""
    limit = click.option("--limit", type=click.IntRange(1, largest), default=usual, show_default=True)
    cursor = click.option("--cursor", metavar="C", help="Continue a list: the value that it printed as next.")
    return lambda command: limit(cursor(command))
