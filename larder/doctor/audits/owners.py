"""Whether topics belong to their declared owners. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.doctor.findings import Finding
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.doctor.facts import System

AUDIT = "owners"


def owners(system: System) -> Iterator[Finding]:
    """Compare claims with the declared owners."""
    for topic, owner in system.owners.items():
        claimed = system.claims.get(topic)
        if owner and claimed is not None and claimed != owner:
            yield Finding(
                Severity.ERROR,
                AUDIT,
                f"topic {topic}",
                f"claimed by {claimed}; {owner} is declared as its owner",
                f"workers of {owner} refuse to start while the claim stands, and {claimed} may go on writing",
                (f"larder topics --release {topic} (once the workers of {claimed} are stopped)",),
            )
