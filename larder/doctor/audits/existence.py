"""Whether the topics of the declared services exist, with all partitions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.doctor.findings import Finding
from larder.doctor.mending import create_topics
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from larder.doctor.facts import System
    from larder.doctor.sampling import Read

AUDIT = "existence"


def missing_topics(system: System) -> Iterator[Finding]:
    """Find missing topics. A worker creates its own topics, and waits for those of others."""
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
            f"workers of {', '.join(waiting)} wait for it and do nothing until its owner creates it",
            (create_topics(),),
        )
    for name, (owner, *_) in owned.items():
        if problem := system.refusals.get(name):
            yield Finding(
                Severity.ERROR,
                AUDIT,
                f"topic {name}",
                f"the broker has no such topic, and refuses to create it for this client: {problem.found}",
                f"workers of {owner} cannot create it either, and exit",
                (problem.do, create_topics(owner)),
            )
            continue
        yield Finding(
            Severity.HINT,
            AUDIT,
            f"topic {name}",
            "the broker has no such topic",
            f"the first worker of {owner} creates it; if one has run already, somebody deleted the topic",
            (create_topics(owner),),
        )


def leaderless(system: System) -> Iterator[Finding]:
    """Find partitions without a leader."""
    for topic in system.topics.values():
        if topic.leaderless:
            yield _silent(
                system, topic.name, f"partitions {_numbers(topic.leaderless)} of {topic.partitions} have no leader"
            )


def unread(system: System, read: Mapping[str, Read]) -> Iterator[Finding]:
    """Find partitions that returned no records."""
    for name, how in read.items():
        if how.unread:
            yield _silent(
                system, name, f"partitions {_numbers(how.unread)} returned no records, though their logs have some"
            )


def _silent(system: System, topic: str, seen: str) -> Finding:
    return Finding(
        Severity.ERROR,
        AUDIT,
        f"topic {topic}",
        seen,
        "workers cannot read them either: tables, and joins with them, stall",
        (
            f"kafka-topics.sh --bootstrap-server {system.bootstrap} --describe --topic {topic}, and the brokers' logs",
            "start the brokers that have their replicas",
        ),
    )


def _numbers(partitions: Sequence[int]) -> str:
    return ", ".join(map(str, partitions))
