"""Decides how many partitions topics have: co-partitioned topics have equally many.

An existing topic keeps its number. Otherwise the topic's declaration decides, then its partners, then the default.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from larder.declaring.facts import Facts, input_name
from larder.declaring.sources import Source
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.service import Service

DEFAULT_PARTITIONS: Final = 4
"""Enough for four workers of a service; it is hard to change later."""

Topic: TypeAlias = EventTopic | OwnerTopic


def partitions(service: Service, topic: Source, facts: Facts) -> int:
    """Return the number of partitions that a topic of a service has, or will have."""
    return known_partitions(service, topic, facts) or DEFAULT_PARTITIONS


def known_partitions(service: Service, topic: Source, facts: Facts) -> int | None:
    """Return the number that the broker, a declaration or a partner decides; None if the default applies.

    A rekeyed topic takes the number in which its component meets, or that of its source if it has no partner.
    """
    partners = list(partners_of(service, topic))
    source = (topic.source,) if isinstance(topic, Rekeyed) and not partners else ()
    known = [_existing(service, topic, facts), service.counts.get(input_name(service, topic)), _declared(topic)]
    known += [service.partitions if partners else None]
    known += [_existing(service, each, facts) for each in (*partners, *source)]
    known += [_declared(each) for each in (*partners, *source)]
    return next(filter(None, known), None)


def partners_of(service: Service, topic: Source) -> Iterator[Source]:
    """Yield the topics that need the same number of partitions, the nearest first."""
    meetings = list(_meetings(service))
    met, seen = [topic], {input_name(service, topic)}
    for each in met:
        name = input_name(service, each)
        pairs = (pair for pair in meetings if name in {input_name(service, one) for one in pair})
        for other in (one for pair in pairs for one in pair):
            if input_name(service, other) not in seen:
                seen.add(input_name(service, other))
                met.append(other)
                yield other


def components(service: Service) -> list[list[Source]]:
    """Return the sources and tables that meet by partition, directly or through others, in the order of declaration."""
    found: list[list[Source]] = []
    seen = set[str]()
    for topic in (one for pair in _meetings(service) for one in pair):
        if input_name(service, topic) not in seen:
            found.append([topic, *partners_of(service, topic)])
            seen.update(input_name(service, each) for each in found[-1])
    return found


def _meetings(service: Service) -> Iterator[tuple[Source, Source]]:
    """Yield each input with each table with which it is co-partitioned."""
    for operator in service.operators:
        yield from operator.meets()


def _existing(service: Service, topic: Source, facts: Facts) -> int | None:
    found = facts.get(input_name(service, topic))
    return None if found is None else found.partitions


def _declared(topic: Source) -> int | None:
    return None if isinstance(topic, Rekeyed) else topic.partitions
