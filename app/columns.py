"""Rows of text in columns, for people and for grep: never wrapped, whatever the terminal. Pure."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Give lines, the headings first; columns whose heading is in `right` end in line, the others begin so."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    return "\n".join(
        GAP.join(
            text.rjust(width) if heading in right else text.ljust(width)
            for heading, text, width in zip(headings, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
