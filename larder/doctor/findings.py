"""A finding: what is wrong and where, why it matters, and the commands that fix it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder.declaring.coordinates import Coordinates

MOST_SAMPLES: Final = 5
"""Coordinates listed for one finding: enough to look at some, and to see whether they are close together."""


EXIT_CODES: Final = {Severity.HINT: 0, Severity.WARNING: 10, Severity.ERROR: 11}
"""The exit code for the worst finding. All commands share codes 1 to 3; 126 and above are the shell's."""


class Finding(NamedTuple):
    """One thing that is wrong. `do` lists the commands and changes that fix it, in order."""

    severity: Severity
    audit: str
    about: str
    seen: str
    why: str
    do: tuple[str, ...]
    samples: tuple[Coordinates, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "severity": self.severity.name.lower(),
            "audit": self.audit,
            "about": self.about,
            "seen": self.seen,
            "samples": [str(place) for place in self.samples],
            "why": self.why,
            "do": list(self.do),
        }


@dataclass(slots=True)
class Met:
    """How often something occurred, and where it occurred first."""

    count: int = 0
    samples: list[Coordinates] = field(default_factory=list)

    def add(self, place: Coordinates) -> None:
        """Count one more."""
        self.count += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(place)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the worst finding; 0 if there is none."""
    return max((EXIT_CODES[finding.severity] for finding in findings), default=0)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once, the worst first, otherwise in the order in which they were found."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity)
