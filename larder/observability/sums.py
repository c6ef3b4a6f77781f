"""Sums over partitions, and over the reports of several workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Report = Mapping[str, Any]


def over_all(function: Callable[[list[Any]], Any], measures: list[Any]) -> Any:
    """Return one figure for all partitions; None if any partition's figure is unknown."""
    return function(measures) if measures and None not in measures else None


def summed(reports: Iterable[Report], *names: str) -> list[dict[str, Any]]:
    """Add up the reports that agree in the fields `names`: sum integers, also nested ones; keep the rest of the first.

    Results are in the order of the first reports.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in reports:
        key = tuple(each[name] for name in names)
        found[key] = _sum(found.get(key, {}), each)
    return [*found.values()]


def _sum(one: Report, other: Report) -> dict[str, Any]:
    return {**one, **{name: _added(one.get(name), value) for name, value in other.items()}}


def _added(one: Any, other: Any) -> Any:
    """Return the sum of two values of a field; None means that there is none yet."""
    if one is None:
        return other
    if isinstance(one, Mapping):
        return _sum(one, other)
    return one + other if type(one) is int else one
