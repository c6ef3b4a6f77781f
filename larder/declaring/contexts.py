"""What services of one context read of another, and of one another. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from larder.declaring.operators import Role
from larder.declaring.service import Service
from larder.declaring.topology import topics_of

_READ = frozenset({Role.TABLE, Role.SOURCE, Role.AGENT})


class RemoteRead(NamedTuple):
    """A call of a service reads a table of another service over HTTP."""

    service: str
    call: str
    table: str
    of: str


class ForeignTopic(NamedTuple):
    """A topic that services `by` of a context read, and service `of` writes: "" if that is not declared here."""

    topic: str
    of: str
    context: str | None
    by: list[str]


class DeclaredContext(NamedTuple):
    """Services that may read one another's tables over HTTP. `name` is None for those that declare no context."""

    name: str | None
    services: list[str]
    reads: list[RemoteRead]
    topics: list[ForeignTopic]


def contexts(services: Sequence[Service]) -> list[DeclaredContext]:
    """Return each context of the services, by name; the services of no context come last."""
    members: defaultdict[str | None, list[Service]] = defaultdict(list)
    for service in sorted(services, key=lambda each: (each.context is None, each.context or "", each.name)):
        members[service.context].append(service)
    writers = {topic.name: service for service in services for topic in service.written}
    return [
        DeclaredContext(
            name,
            [each.name for each in within],
            [each for service in within for each in _remote_reads(service)],
            list(_foreign_topics(within, writers)),
        )
        for name, within in members.items()
    ]


def _remote_reads(service: Service) -> Iterator[RemoteRead]:
    for operator in service.operators:
        for each in operator.asks():
            yield RemoteRead(service.name, operator.name, each.name, each.table.service)


def _foreign_topics(within: Sequence[Service], writers: dict[str, Service]) -> Iterator[ForeignTopic]:
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for service in within:
        for use in topics_of(service):
            if use.declared and not use.owned and not _READ.isdisjoint(use.roles):
                readers[use.name].append(service.name)
    for topic, by in sorted(readers.items()):
        writer = writers.get(topic)
        if writer is None or writer not in within or writer.context is None:
            context = None if writer is None else writer.context
            yield ForeignTopic(topic, "" if writer is None else writer.name, context, by)
