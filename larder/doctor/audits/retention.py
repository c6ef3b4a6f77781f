"""Whether the internal topics of a service still have the settings that it created them with. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from larder.declaring.claims import OWNERS
from larder.declaring.topology import AFTER_MAX, PASSING
from larder.doctor.facts import duration
from larder.doctor.findings import Finding
from larder.doctor.mending import set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.declaring.service import Service
    from larder.declaring.topology import TopicUse
    from larder.doctor.facts import System, TopicState

AUDIT = "retention"

FOREVER: Final = -1

_KEPT_FOR_PEOPLE: Final = (
    "the broker deletes dead letters and refusals that nobody has looked at, which exist nowhere else"
)
_MATTERS: Final = {
    "max.message.bytes": "the topic keeps whole records of other topics: one that is too large becomes a dead"
    " letter, or cannot wait",
    "message.timestamp.type": "the broker refuses records whose own timestamp is too old or too new for it",
    AFTER_MAX: "the topic refuses events with a later timestamp, though their source accepted them",
    "delete.retention.ms": "a join that is held back for longer misses that a row was deleted or moved",
}
"""Why each setting has its value."""


def retention(system: System) -> Iterator[Finding]:
    """Compare the settings of internal topics with those they are created with, and check the retention of inputs."""
    for service, use in system.uses:
        topic = system.topics.get(use.name)
        if topic is None:
            continue
        if use.internal:
            yield from _changed(system, service, use, topic)
        if not use.compacted and not use.owned:
            yield from _too_short(system, service, topic)
    claims = system.topics.get(OWNERS)
    if claims is not None and claims.facts.cleanup_policy != "compact":
        yield Finding(
            Severity.ERROR,
            AUDIT,
            f"topic {OWNERS}",
            f"cleanup.policy={claims.facts.cleanup_policy}",
            "the broker deletes old claims, and then a second service can claim the same topic",
            (set_topic(system.bootstrap, OWNERS, cleanup_policy="compact"),),
        )


def _changed(system: System, service: Service, use: TopicUse, topic: TopicState) -> Iterator[Finding]:
    wanted = dict(use.config)
    del wanted["cleanup.policy"]  # audited in compaction.py
    for name, made_with in wanted.items():
        found = topic.config.get(name)
        if found is None or found == made_with or _is_more(name, found, made_with):
            continue
        yield Finding(
            Severity.WARNING,
            AUDIT,
            f"topic {use.name}",
            f"{name}={found}; {service.name} creates it with {made_with}",
            _why(name, use),
            (set_topic(system.bootstrap, use.name, **{name: made_with}),),
        )


def _is_more(name: str, found: str, made_with: str) -> bool:
    if name == "message.timestamp.type" or made_with == str(FOREVER):
        return False
    return int(found) == FOREVER or int(found) > int(made_with)


def _why(name: str, use: TopicUse) -> str:
    if name.startswith("retention.") and not PASSING.isdisjoint(use.roles):
        return "the broker deletes events that the service has not processed yet: they keep their own, old timestamps"
    return _MATTERS.get(name, _KEPT_FOR_PEOPLE)


def _too_short(system: System, service: Service, topic: TopicState) -> Iterator[Finding]:
    absence = system.expected_absence
    kept = topic.number("retention.ms", 604_800_000)
    if absence is None or kept == FOREVER or kept / 1000 >= absence.seconds:
        return
    yield Finding(
        Severity.WARNING,
        AUDIT,
        f"topic {topic.name}",
        f"events are kept for {duration(kept / 1000)} (retention.ms); {absence.who}: {duration(absence.seconds)}",
        f"events that {service.name} has not read by then are gone; it refuses to start until you say where it is to"
        " continue",
        (set_topic(system.bootstrap, topic.name, retention_ms=int(absence.seconds * 2_000)),),
    )
