"""Checks that the arguments of declarations are of the right kind: topics, tables, events.

Python does not enforce types. These checks report arguments of the wrong kind. All other checks leave out such
declarations, and can therefore rely on kinds. Pure: values in, problems out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from larder.declaring.problems import Problem
from larder.declaring.sources import Lookup, Source, TableUse
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.agents import AgentDeclaration
    from larder.declaring.decides import Decide
    from larder.declaring.joins import Join
    from larder.declaring.reactions import Reaction
    from larder.declaring.service import Service


def table_problems(table: TableUse) -> Iterator[Problem]:
    """Check the arguments of a table."""
    if not is_a(OwnerTopic, table.topic):
        yield Problem(
            f"table {_named(table.topic)}",
            "a table requires an owner topic",
            shown(table.topic),
            "declare the topic as OwnerTopic, or join its events",
        )


def join_kind_problems(service: Service, join: Join) -> Iterator[Problem]:
    """Check the arguments of a join."""
    declared = f"join {_named(join.source)} into {_named(join.into)}"
    if not is_a(Source, join.source):
        yield Problem(
            declared,
            "a join requires a topic as its source",
            shown(join.source),
            'give it an EventTopic, an OwnerTopic, or orders.by("field")',
        )
    if isinstance(join.source, Rekeyed) and not is_a(EventTopic | OwnerTopic, join.source.source):
        yield Problem(declared, ".by requires a topic", shown(join.source.source), "give it one of events, or of rows")
    if not is_a(EventTopic | OwnerTopic, join.into):
        yield Problem(
            declared,
            "a join requires a topic for its results",
            shown(join.into),
            "give it an EventTopic or an OwnerTopic of the service's own",
        )
    for given in join.lookups:
        if not is_a(Lookup, given):
            yield Problem(
                declared,
                "a join requires tables of its own service",
                shown(given),
                f'declare one with global_table or table of {service.name}, and give its .on("field")',
            )


def decide_kind_problems(service: Service, decide: Decide) -> Iterator[Problem]:
    """Check the arguments of a decide."""
    declared = f"decide {_named(decide.state)}"
    if not is_a(TableUse, decide.state):
        yield Problem(
            declared,
            "a decide requires a table of its service as its state",
            shown(decide.state),
            f"declare one: levels = {service.name}.table(...), and give it as state=levels",
        )
    for source in decide.inputs:
        if not is_a(EventTopic | Rekeyed, source):
            yield Problem(
                declared,
                "a decide requires topics of events as its inputs",
                shown(source),
                'give it an EventTopic, or events.by("field")',
            )
        if isinstance(source, Rekeyed) and not is_a(EventTopic, source.source):
            yield Problem(
                declared,
                "a decide requires events, also where they are rekeyed",
                shown(source.source),
                "declare the topic as EventTopic",
            )
    yield from into_problems(declared, "a decide", decide.into)


def reaction_kind_problems(service: Service, reaction: Reaction) -> Iterator[Problem]:
    """Check the arguments of a reaction."""
    declared = f"on_change of {_named(reaction.table)}"
    if not is_a(TableUse, reaction.table):
        yield Problem(
            declared,
            "a reaction requires a table of its service",
            shown(reaction.table),
            f"declare one: customers = {service.name}.table(...)",
        )
    yield from into_problems(declared, "a reaction", reaction.into)


def into_problems(declared: str, what: str, into: Iterable[object]) -> Iterator[Problem]:
    """Check that what is emitted goes to topics of events."""
    for topic in into:
        if not is_a(EventTopic, topic):
            yield Problem(
                declared,
                f"{what} requires topics of events for what it emits",
                shown(topic),
                "give it an EventTopic of the service's own",
            )


def agent_kind_problems(agent: AgentDeclaration) -> Iterator[Problem]:
    """Check the arguments of an agent."""
    if not is_a(EventTopic | OwnerTopic, agent.topic):
        yield Problem(
            f"agent {agent.name}",
            "an agent requires a topic",
            shown(agent.topic),
            "give it an EventTopic or an OwnerTopic",
        )


def is_a(kind: object, given: object) -> bool:
    """Return whether an argument has a type, or one of several that are joined by `|`."""
    return isinstance(given, kind)  # type: ignore[arg-type]


def _named(given: object) -> str:
    name = getattr(given, "name", None)
    return name if isinstance(name, str) else repr(given)


def shown(given: object) -> str:
    """Return an argument as problems show it."""
    name = _named(given)
    return name if name == repr(given) else f"{type(given).__name__} {name}"
