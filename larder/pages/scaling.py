"""The growth of a service as its overview shows it: the phases in a row, how far it has come, what works. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from larder.declaring.growth import OPEN, PHASES, UNDER_WAY
from larder.observability import growths
from larder.observability.conditions import BeingScaled, worker_conditions
from larder.pages import totals
from larder.pages.trouble import Trouble
from larder.pages.wording import duration

Data = Mapping[str, Any]

SHOWN_SECONDS: Final = 3_600.0
"""How long the overview shows a growth that has ended."""


def is_paused(services: Data) -> bool:
    """Return whether the service processes no records, because it is being scaled."""
    growth = totals.growth(services)
    return growth is not None and growth["phase"] in OPEN


def scaling(services: Data) -> dict[str, Any] | None:
    """Return the last growth of a service, with what the page shows of it; None if the service was never scaled."""
    growth = totals.growth(services)
    if growth is None:
        return None
    known = growths.facts(growth)
    return {
        **growth,
        "heading": growths.heading(growth),
        "going": growth["phase"] in UNDER_WAY,
        "failed": known is None,
        "paused": growth["phase"] in OPEN,
        "facts": {} if known is None else known._asdict(),
        "steps": [] if known is None else list(_steps(growth["phase"])),
        "progress": growths.copied(growth),
        "shown_s": SHOWN_SECONDS,
    }


def _steps(phase: str) -> Iterator[dict[str, str]]:
    names = [each.value for each in PHASES]
    here = names.index(phase)
    for number, name in enumerate(names):
        if number < here or phase == names[-1]:
            yield {"name": name, "place": "past", "says": "done"}
        elif number == here:
            yield {"name": name, "place": "now", "says": "now"}
        else:
            yield {"name": name, "place": "next", "says": "to come"}


def scaling_troubles(services: Data) -> Iterator[Trouble]:
    """Yield once that a service is being scaled: who sees that records wait has to know why."""
    found = [each for status in totals.statuses(services) for each in worker_conditions(status)]
    severities = [each.severity for each in found if isinstance(each, BeingScaled)]
    if not severities:
        return
    growth, service = totals.growth(services), services["service"]
    yield Trouble(
        min(severities), f"{service} is {_what(growth)}", _works(growth), "/services", "Scaling",
        f"larder scale {service}",
    )  # fmt: skip


def _what(growth: Data | None) -> str:
    if growth is None:
        return "being scaled"
    if growth["phase"] not in UNDER_WAY:
        # The growth has ended, and the worker joins its group once more.
        return f"being scaled: the last workers join their group again ({growth['phase']})"
    progress, left = growths.copied(growth), growth["expected_s"]
    how_far = f", {progress}" if progress else ""
    return f"{growths.heading(growth)}: {growth['phase']}{how_far}{f', about {duration(left)} left' if left else ''}"


def _works(growth: Data | None) -> str:
    known = None if growth is None else growths.facts(growth)
    if known is None:
        return "Lookups go on. Nothing is lost. Follow it"
    return f"{known.does[:1].upper()}{known.does[1:]}. Joins {known.joins}; lookups {known.reads}. Follow it"
