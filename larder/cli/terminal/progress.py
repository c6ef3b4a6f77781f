"""The progress of long work: a line on standard error, at most once a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PROGRESS_SECONDS: Final = 1.0


def progress_report(line: Callable[[T], str]) -> Callable[[T], None]:
    """Return a callback that prints what `line` says of the progress."""
    reported_at = time.monotonic()

    def report(progress: T) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at > PROGRESS_SECONDS:
            reported_at = time.monotonic()
            click.echo(f"larder: {line(progress)}", file=sys.stderr)

    return report


def percent(part: int, whole: int) -> str:
    """Return a share as whole percent; 0 % of nothing."""
    return f"{100 * part // max(whole, 1)} %"
