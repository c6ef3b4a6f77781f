"""Checks of a service: its names, its tables, and the readers of each topic.

Pure: values in, problems out. Operators report their own problems.
"""

from collections import Counter
from collections.abc import Iterator

from larder.declaring.checks.contexts import context_name_problems
from larder.declaring.checks.predicates import predicate_problems
from larder.declaring.checks.topics import LONGEST_NAME, broker_problems, name_problems
from larder.declaring.facts import Facts
from larder.declaring.names import folder_problems
from larder.declaring.operators import Role
from larder.declaring.problems import Problem
from larder.declaring.service import Service
from larder.declaring.sources import events_of
from larder.declaring.topics import Rekeyed
from larder.declaring.topology import TopicUse, topics_of


def service_problems(service: Service, facts: Facts) -> Iterator[Problem]:
    """Check a service with all its operators."""
    declared = f"service {service.name}"
    yield from _name_problems(declared, service)
    yield from context_name_problems(service)
    yield from _loop_problems(declared, service)
    yield from _rekey_problems(declared, service)
    for operator in service.operators:
        yield from operator.problems(service, facts)
    for predicate in service.predicates:
        yield from predicate_problems(service, predicate)
    yield from _topic_use_problems(declared, service, facts)


def _name_problems(declared: str, service: Service) -> Iterator[Problem]:
    tables = Counter(table.name for table in service.tables)
    joins = Counter(join.name for join in service.joins)
    for what, counted in (("table", tables), ("join", joins)):
        for name, count in counted.items():
            if count > 1:
                yield Problem(
                    declared,
                    f"a {what} requires a topic of its own",
                    f"{count} declarations of {what} {name}",
                    "keep one of them",
                )


def _loop_problems(declared: str, service: Service) -> Iterator[Problem]:
    """Report an agent or co-partitioned table that shares its topic with another reader: one loop reads a partition."""
    read = {events_of(source).name: "the source of a join or a decide" for source in service.sources}
    for table in [table for table in service.tables if table.held == "partition"]:
        other = read.get(table.name)
        read[table.name] = "a co-partitioned table"
        if other is not None:
            yield Problem(
                declared,
                "a co-partitioned table requires a topic that is no input of its service, since one loop reads each"
                " partition",
                f"{table.name} as a table and as {other}",
                "make the table global, or move what reads it into a service of its own",
            )
    for agent in service.agents:
        other = read.get(agent.topic.name)
        read[agent.topic.name] = f"the agent {agent.name}"
        if other is not None:
            yield Problem(
                declared,
                "an agent requires an input of its own, since one loop reads each input partition",
                f"the agent {agent.name} and {other} on {agent.topic.name}",
                "move the agent into a service of its own",
            )


def _rekey_problems(declared: str, service: Service) -> Iterator[Problem]:
    """Report different declarations of one `.by`, since they share a topic."""
    found: dict[str, set[str]] = {}
    for source in service.sources:
        if isinstance(source, Rekeyed):
            found.setdefault(source.name, set()).add(repr(source.missing))
    for name, missing in found.items():
        if len(missing) > 1:
            yield Problem(
                declared,
                ".by of one field requires one answer to null in it, since its readers share one topic",
                f"{name} with missing={' and missing='.join(sorted(missing))}",
                "use the same missing= everywhere",
            )


def _named_after_wrong(use: TopicUse) -> bool:
    """Return whether the name is invalid because the input's name is; the input reports that problem."""
    return Role.REPLAYS in use.roles and any(name_problems("", use.name[-LONGEST_NAME:]))


def _topic_use_problems(declared: str, service: Service, facts: Facts) -> Iterator[Problem]:
    misnamed = list(folder_problems(declared, service.name))
    yield from misnamed
    for use in topics_of(service, facts):
        if use.internal and use.declared:
            yield Problem(
                f"topic {use.name}",
                f"a topic that {service.name} names itself requires that name for it alone",
                f"{' and '.join(role.value for role in use.roles)} of that name",
                "rename the topic that you declare",
            )
        if use.internal and not misnamed and not _named_after_wrong(use):
            yield from name_problems(declared, use.name)
        found = facts.get(use.name)
        if found is not None:
            yield from broker_problems(use, found)
