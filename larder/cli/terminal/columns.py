"""Rows of text in columns, for people and for grep: never wrapped, but shortened to a given width. Pure."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "
NARROWEST = 8
"""The fewest characters that a cell keeps, however narrow the terminal is."""


def columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), width: int | None = None
) -> str:
    """Return the lines, headings first. Columns whose heading is in `right` are right-aligned.

    If a line would be wider than `width`, the longest cells are shortened.
    """
    lines: Sequence[Sequence[str]] = [headings, *rows]
    if width is not None:
        lines = _fitted(lines, width)
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    return "\n".join(
        GAP.join(
            text.rjust(wide) if heading in right else text.ljust(wide)
            for heading, text, wide in zip(headings, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _fitted(lines: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Shorten the longest cells to one length, so that the lines fit."""
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    room = width - len(GAP) * (len(widths) - 1)
    longest = next(
        (most for most in range(width, NARROWEST, -1) if sum(min(each, most) for each in widths) <= room), NARROWEST
    )
    return [[text if len(text) <= longest else f"{text[: longest - 1]}…" for text in line] for line in lines]
