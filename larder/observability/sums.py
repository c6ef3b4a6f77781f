"""One figure for all partitions of something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def over_all(function: Callable[[list[Any]], Any], measures: list[Any]) -> Any:
    """Give one figure for all partitions; unknown as soon as that of one is."""
    return function(measures) if measures and None not in measures else None
