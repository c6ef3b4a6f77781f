"""The loaded and checked services, and their topics with owners, users and settings.

Reads declarations; the caller passes what a broker has as facts.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.checks.declarations import problems
from larder.declaring.checks.topics import topic_problems
from larder.declaring.loading import load_services, project_modules, topics_in
from larder.declaring.plurals import plural
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.sources import events_of
from larder.declaring.topology import owns, topics_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from larder.declaring.facts import Facts
    from larder.declaring.service import Service
    from larder.declaring.topics import EventTopic, OwnerTopic
    from larder.declaring.topology import TopicUse


@dataclass
class DeclaredTopic:
    """One topic: its settings, its owner ("" if none is declared), and its roles by service."""

    use: TopicUse
    owner: str = ""
    roles: dict[str, list[str]] = field(default_factory=dict)


class CheckedProject(NamedTuple):
    """A project without mistakes: its modules, its services, and all topics that they declare."""

    modules: Sequence[str]
    services: Sequence[Service]
    topics: Sequence[EventTopic | OwnerTopic]


def declared_services(modules: Sequence[str]) -> dict[str, Service]:
    """Import modules and return their services by name; raise DeclarationError with all their problems."""
    services = load_services(modules)
    _refuse_mistakes(services, modules, () if services else _unused(services, modules))
    return services


def checked_project(modules: Sequence[str]) -> CheckedProject:
    """Check all that modules declare, even topics that no service uses; raise DeclarationError with all problems."""
    services = load_services(modules)
    unused = _unused(services, modules)
    _refuse_mistakes(services, modules, unused)
    used = {topic.name: topic for topic in topics(list(services.values()))}
    return CheckedProject(modules or project_modules(), list(services.values()), [*used.values(), *unused])


def _unused(services: Mapping[str, Service], modules: Sequence[str]) -> list[EventTopic | OwnerTopic]:
    used = {topic.name for topic in topics(list(services.values()))}
    return [topic for topic in topics_in(modules or project_modules()) if topic.name not in used]


def _refuse_mistakes(
    services: Mapping[str, Service], modules: Sequence[str], alone: Sequence[EventTopic | OwnerTopic]
) -> None:
    """Raise DeclarationError with the problems of all services, and of topics that none of them uses."""
    found = [*problems(list(services.values())), *(problem for topic in alone for problem in topic_problems(topic))]
    if not services:
        found.append(_no_service(modules or project_modules(), alone))
    if found:
        raise DeclarationError(found)


def _no_service(modules: Sequence[str], alone: Sequence[EventTopic | OwnerTopic]) -> Problem:
    return Problem(
        f"{plural(len(modules), 'module')} {', '.join(modules)}",
        "larder requires a Service",
        f"{plural(len(alone), 'topic')} {', '.join(topic.name for topic in alone)}, and no service",
        'declare one: shipping = Service("shipping")',
    )


def declared_topics(services: Mapping[str, Service], only: str | None, facts: Facts) -> list[DeclaredTopic]:
    """List the topics of all services, or of one `only`, in the order of declaration."""
    everybody = list(services.values())
    owners = {topic.name: owner_of(topic, everybody) for topic in topics(everybody)}
    found: dict[str, DeclaredTopic] = {}
    for service in [service_named(services, only)] if only else everybody:
        for use in topics_of(service, facts):
            known = found.setdefault(use.name, DeclaredTopic(use, owners.get(use.name, service.name)))
            known.roles[service.name] = [role.value for role in use.roles]
    return list(found.values())


def owner_of(topic: EventTopic | OwnerTopic, services: Sequence[Service]) -> str:
    """Return the only service that may write to a topic; "" if none is declared and none publishes to it."""
    return topic.owner or next((service.name for service in services if owns(service, topic)), "")


def topics(services: Sequence[Service]) -> Iterator[EventTopic | OwnerTopic]:
    """Yield the topics that services declare, without internal ones."""
    for service in services:
        yield from (use.topic for use in service.tables)
        for operator in service.operators:
            yield from (events_of(source) for source in operator.reads())
            yield from operator.writes()


def topic_named(services: Sequence[Service], name: str) -> EventTopic | OwnerTopic:
    """Return the declaration of a topic; raise `MistakeError`, which lists all topics, if there is none."""
    known = {topic.name: topic for topic in topics(services)}
    if name not in known:
        found = f"none of that name, but {', '.join(known) or 'no topic at all'}{unconfigured()}"
        raise MistakeError(Problem(f"topic {name}", "requires a declared topic", found, _near(name, known)))
    return known[name]


def service_named(services: Mapping[str, Service], name: str) -> Service:
    """Return the declaration of a service; raise `MistakeError`, which lists all services, if there is none."""
    if name not in services:
        found = f"none of that name, but {', '.join(services) or 'no service at all'}{unconfigured()}"
        raise MistakeError(Problem(f"service {name}", "requires a declared service", found, _near(name, services)))
    return services[name]


def unconfigured() -> str:
    """Return a note that no setting names modules, so that the project's were loaded; "" if one does."""
    loaded = load_settings()
    if loaded.origins["modules"] != "default":
        return ""
    file = f"{loaded.path} names no modules" if loaded.path.is_file() else f"there is no {loaded.path.absolute()}"
    return f" (in {Path.cwd()}: {file}, and LARDER_MODULES is not set)"


def _near(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else "name one of them, or name its module in LARDER_MODULES"
