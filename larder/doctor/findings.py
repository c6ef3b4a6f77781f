"""A finding: what was seen and where, why it matters, and the commands that mend it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder.declaring.coordinates import Coordinates

MOST_SAMPLES: Final = 5
"""Coordinates that are told of one finding: enough to look at, and to see whether they lie together."""


class Severity(IntEnum):
    """How bad it is: worth knowing; goes wrong under circumstances that come; goes wrong now."""

    HINT = 1
    WARNING = 2
    ERROR = 3


EXIT_CODES: Final = {Severity.HINT: 0, Severity.WARNING: 10, Severity.ERROR: 11}
"""By the worst finding. Apart from those that all commands share (1 to 3), and from a shell's own (126 and above)."""


class Finding(NamedTuple):
    """One thing that is wrong. `do` has the commands and changes that mend it, in their order."""

    severity: Severity
    audit: str
    about: str
    seen: str
    why: str
    do: tuple[str, ...]
    samples: tuple[Coordinates, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
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
    """How often something was met, and where it was met first."""

    count: int = 0
    samples: list[Coordinates] = field(default_factory=list)

    def add(self, place: Coordinates) -> None:
        """Count one more."""
        self.count += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(place)


def exit_code(findings: Iterable[Finding]) -> int:
    """Give the exit code that the worst of the findings stands for; 0 without any."""
    return max((EXIT_CODES[finding.severity] for finding in findings), default=0)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Give each finding once, the worst first, and else as they were found."""
    return sorted(dict.fromkeys(findings), key=lambda finding: -finding.severity)
