"""The bars of a story: each from when its cause happened to when it happened itself. Pure.

Numbers are percent of the width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_MARK: Final = 1.5
"""The width of the mark at the end of a bar, which shows a step of no length too."""


class Bar(NamedTuple):
    """A bar and the mark at its end, by their left edges; the bar of a step without a known cause has no width."""

    left: float
    width: float
    mark: float
    mark_width: float = _MARK


def bars(steps: Sequence[Mapping[str, Any]], took_ms: int) -> list[Bar]:
    """Return the bar of each step."""
    scale = (100 - _MARK) / max(took_ms, 1)
    return [_bar(step["after_ms"] * scale, (step["latency_ms"] or 0) * scale) for step in steps]


def _bar(end: float, length: float) -> Bar:
    return Bar(round(end - length, 2), round(length, 2), round(end, 2))
