"""Where the growth of a service stands, from the reports of its workers: added up, and in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from larder.declaring.growth import PHASES, UNDER_WAY, GrowthPhase, PhaseFacts
from larder.declaring.plurals import plural
from larder.observability.sums import over_all

Report = Mapping[str, Any]


def of_all(growths: Iterable[Report | None]) -> dict[str, Any] | None:
    """Return the newest state that workers report, with the progress of all who report it; None if none does."""
    known = [each for each in growths if each is not None]
    if not known:
        return None
    newest = max(known, key=lambda each: (each["began"], each["phase_began"]))
    alike = [each for each in known if _state(each) == _state(newest)]
    copying = [each for each in alike if each["to_copy"] is not None]
    return {
        **newest,
        "copied": sum(each["copied"] for each in copying) if copying else None,
        "to_copy": sum(each["to_copy"] for each in copying) if copying else None,
        "expected_s": over_all(max, [each["expected_s"] for each in copying]),
    }


def _state(growth: Report) -> tuple[Any, ...]:
    return growth["generation"], growth["phase"], growth["phase_began"]


def facts(growth: Report) -> PhaseFacts | None:
    """Return what happens in the phase of a growth; None for one that has failed, and for one of another version."""
    return PHASES.get(growth["phase"])


def target(growth: Report) -> str:
    """Return the partitions of a growth in words."""
    counts = growth["partitions"]
    return f"{', '.join(f'{each:,}' for each in counts)} {plural(counts[-1] if counts else 0, 'partition')}"


def copied(growth: Report) -> str:
    """Return how far the copying has come; "" while nothing is copied."""
    return f"{growth['copied']:,} of {growth['to_copy']:,} offsets" if growth["to_copy"] else ""


def heading(growth: Report) -> str:
    """Return in a few words where a growth stands."""
    if growth["phase"] in UNDER_WAY:
        return f"being scaled to {target(growth)}"
    if growth["phase"] == GrowthPhase.DONE:
        return f"scaled to {target(growth)}"
    return "not scaled"


def line(growth: Report) -> str:
    """Return where a growth stands, in one line."""
    if growth["phase"] == GrowthPhase.DONE:
        return heading(growth)
    left = growth["expected_s"]
    details = [
        copied(growth),
        f"about {left:,.0f} s left" if left else "",
        "" if growth["reason"] is None else growth["reason"],
    ]
    return f"{heading(growth)}: {', '.join(each for each in (growth['phase'], *details) if each)}"
