"""Whether the topics of the declared services are there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.doctor.findings import Finding, Severity
from app.doctor.mending import create_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.doctor.facts import System

AUDIT = "existence"


def missing_topics(system: System) -> Iterator[Finding]:
    """Find topics that the broker does not have: a worker makes its own ones, and waits for those of others."""
    owned: dict[str, list[str]] = {}
    awaited: dict[str, list[str]] = {}
    for service, use in system.uses:
        if use.name not in system.topics:
            (owned if use.owned else awaited).setdefault(use.name, []).append(service.name)
    for name, waiting in awaited.items():
        if name in owned:
            continue
        yield Finding(
            Severity.WARNING,
            AUDIT,
            f"topic {name}",
            "the broker has no such topic",
            f"workers of {', '.join(waiting)} wait for it and do nothing until its owner has made it",
            (create_topics(),),
        )
    for name, (owner, *_) in owned.items():
        yield Finding(
            Severity.HINT,
            AUDIT,
            f"topic {name}",
            "the broker has no such topic",
            f"the first worker of {owner} creates it; if there was one already, the topic has been deleted",
            (create_topics(owner),),
        )
