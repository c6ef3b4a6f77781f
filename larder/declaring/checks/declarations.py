"""Finds all mistakes in declarations at once, before anything starts.

Pure: services and facts about the broker in, problems out. This module compares services with each other, and
calls all other checks.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields as attributes
from itertools import combinations
from typing import TypeAlias

from larder.declaring.carried import header_problems
from larder.declaring.checks.kinds import table_problems
from larder.declaring.checks.services import service_problems
from larder.declaring.checks.topics import topic_problems
from larder.declaring.facts import Facts, TopicFacts
from larder.declaring.problems import Problem
from larder.declaring.service import Service
from larder.declaring.topics import EventTopic, OwnerTopic
from larder.declaring.topology import declared_topics

__all__ = ["Facts", "TopicFacts", "problems"]

Topic: TypeAlias = EventTopic | OwnerTopic


def problems(services: Sequence[Service], facts: Facts | None = None) -> tuple[Problem, ...]:
    """Find each mistake in the services once, in the order of declaration.

    `facts` has the broker's topics by name; other topics are not checked against the broker. A topic that does not
    exist is not a problem: see `missing_topics`.
    """
    found = [problem for service in services for problem in _kind_problems(service)]
    sound = [_sound(service) for service in services]
    found += _among(sound)
    for topic in declared_topics(sound):
        found += topic_problems(topic)
    for service in sound:
        found += service_problems(service, facts or {})
    return tuple(dict.fromkeys(found))


def _kind_problems(service: Service) -> Iterator[Problem]:
    """Find arguments of the wrong kind."""
    yield from header_problems(service)
    for table in service.tables:
        yield from table_problems(table)
    for operator in service.operators:
        yield from operator.kind_problems(service)


def _sound(service: Service) -> Service:
    """Leave out whatever has such problems or uses a table that has them: all other checks rely on kinds."""
    sound = Service(service.name, partitions=service.partitions, headers=service.headers, context=service.context)
    sound.counts = service.counts
    sound.tables = [table for table in service.tables if not any(table_problems(table))]
    sound.predicates = [each for each in service.predicates if not any(table_problems(each.table))]
    sound.operators = [
        each
        for each in service.operators
        if not any(each.kind_problems(service))
        and not any(problem for table in each.uses() for problem in table_problems(table))
    ]
    return sound


def _among(services: Sequence[Service]) -> Iterator[Problem]:
    for name, count in Counter(service.name for service in services).items():
        if count > 1:
            yield Problem(
                f"service {name}",
                "a service name requires one declaration",
                f"{count} services",
                "rename all but one",
            )
    by_name: dict[str, list[Topic]] = {}
    for topic in declared_topics(services):
        by_name.setdefault(topic.name, []).append(topic)
    for name, topics in by_name.items():
        yield from _owner_problems(name, topics, services)
        for one, other in combinations(topics, 2):
            yield from _difference_problems(one, other)


def _owner_problems(name: str, topics: Sequence[Topic], services: Sequence[Service]) -> Iterator[Problem]:
    owners = list(dict.fromkeys(topic.owner for topic in topics if topic.owner))
    writers = list(
        dict.fromkeys(service.name for service in services for topic in service.written if topic.name == name),
    )
    claims = owners or writers
    if len(claims) > 1:
        yield Problem(
            f"topic {name}",
            "a topic requires one owner, the only service that writes it",
            " and ".join(claims),
            "leave it to one of them, and give the other a topic of its own",
        )
    for writer in writers:
        if owners and writer not in owners:
            yield Problem(
                f"service {writer} into {name}",
                "only the owner of a topic writes it",
                f"owner {owners[0]}",
                f'publish into a topic of its own, or declare owner="{writer}"',
            )


def _difference_problems(one: Topic, other: Topic) -> Iterator[Problem]:
    # Owners are checked elsewhere; each reader has its own indexes and `key_is`.
    differences = [
        f"{name} {_show(getattr(one, name, None))} and {_show(getattr(other, name, None))}"
        for name in dict.fromkeys(a.name for a in (*attributes(one), *attributes(other)))
        if name not in {"owner", "indexes", "key_is"}
        and getattr(one, name, None) != getattr(other, name, None)
        and not (name == "partitions" and None in {one.partitions, other.partitions})
    ]
    if type(one) is not type(other):
        differences = [f"{type(one).__name__} and {type(other).__name__}"]
    if differences:
        yield Problem(
            f"topic {one.name}",
            "a topic name requires one declaration",
            ", ".join(differences),
            "declare it once and import it, or rename one of the topics",
        )


def _show(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)
