"""Offsets by partition as one text: the form of cursors of letters, and of ids of events. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 10_000
"""In characters: enough for the offsets of four hundred partitions."""

_TEXT: Final = re.compile(r"[0-9]{1,9}\.[0-9]{1,19}(-[0-9]{1,9}\.[0-9]{1,19})*")


def positions_text(positions: Mapping[int, int]) -> str:
    """Return the offsets of partitions as a text."""
    return "-".join(f"{partition}.{offset}" for partition, offset in sorted(positions.items()))


def read_positions(text: str) -> dict[int, int] | None:
    """Return the offsets that `positions_text` wrote; None for any other text."""
    if len(text) > LONGEST or not _TEXT.fullmatch(text):
        return None
    return {int(partition): int(offset) for partition, offset in (each.split(".") for each in text.split("-"))}
