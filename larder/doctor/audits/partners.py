"""Whether topics that are joined by partition have the same number of partitions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.assembly.placement import changed
from larder.declaring.facts import RESTORE, input_name
from larder.declaring.plurals import counted
from larder.declaring.sources import events_of, partitioned_by
from larder.declaring.topics import Rekeyed
from larder.doctor.findings import Finding
from larder.doctor.mending import add_partitions
from larder.kafka.topic_metadata import Described
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from larder.declaring.service import Service
    from larder.declaring.sources import Source
    from larder.doctor.facts import System

AUDIT = "partitions"


def partners(system: System) -> Iterator[Finding]:
    """Compare partition counts of inputs, of the tables that they meet, and of the internal topics beside them."""
    for service in system.services:
        for source, table in meetings(service):
            yield from _unequal(system, service, source, table)
        for name, with_it, placed in _companions(service):
            yield from _uneven(system, name, with_it, placed=placed)
        yield from _grown(system, service)


def meetings(service: Service) -> Iterator[tuple[Source, str]]:
    """Yield each input with a co-partitioned table that its records meet."""
    for operator in service.operators:
        for source, topic in operator.meets():
            yield source, topic.name


def _companions(service: Service) -> Iterator[tuple[str, str, bool]]:
    """Yield each internal topic, the topic whose number of partitions it needs, and whether keys place its records."""
    for operator in service.operators:
        for kept in operator.keeps(service.name):
            if kept.compacted and kept.like is not None:
                yield kept.name, input_name(service, kept.like), operator.placed


def _states(service: Service) -> Iterator[str]:
    """Yield the tables that an operator has beside a record and writes itself."""
    for operator in service.operators:
        yield from {table.name for table in operator.uses()} & {topic.name for topic in operator.writes()}


def _unequal(system: System, service: Service, source: Source, table: str) -> Iterator[Finding]:
    name = input_name(service, source)
    one, other = system.topics.get(name), system.topics.get(table)
    if one is None or other is None or one.partitions == other.partitions:
        return
    fewer, more = sorted((one, other), key=lambda topic: topic.partitions)
    rekeyed = f'{events_of(source).name}.by("{partitioned_by(source)}")'
    yield Finding(
        Severity.ERROR,
        AUDIT,
        f"service {service.name}, {name} with {table}",
        f"{one.partitions} and {counted(other.partitions, 'partition')}",
        "a key belongs to partitions with different numbers in them, and so to different workers: the inputs that"
        " depend on them are held back",
        (RESTORE,)
        if isinstance(source, Rekeyed) or table in set(_states(service))
        else (
            f"use {rekeyed} instead of the topic itself, or hold {table} with {service.name}.global_table",
            f"or, while {fewer.name} is empty: {add_partitions(system.bootstrap, fewer.name, more.partitions)}",
        ),
    )


def _uneven(system: System, name: str, with_it: str, *, placed: bool) -> Iterator[Finding]:
    own, other = system.topics.get(name), system.topics.get(with_it)
    if own is None or other is None or own.partitions == other.partitions:
        return
    more = own.partitions < other.partitions
    yield Finding(
        Severity.ERROR,
        AUDIT,
        f"topic {name}",
        f"{counted(own.partitions, 'partition')}; {with_it} has {other.partitions}",
        f"what waits of a partition of {with_it} is kept in the partition with the same number: the service refuses to"
        " start",
        (RESTORE,)
        if placed
        else (add_partitions(system.bootstrap, name, other.partitions),)
        if more
        else (f"partitions cannot be removed: once nothing waits any more, delete {name}; a worker creates it again",),
    )


def _grown(system: System, service: Service) -> Iterator[Finding]:
    """Compare partition counts with those that workers on this machine remember; equal counts prove nothing."""
    now = {name: Described(topic.topic_id, topic.partitions) for name, topic in system.topics.items()}
    grown = {
        (name, before)
        for memory in system.placed.get(service.name, ())
        for name, before in changed(memory, now).items()
        if memory[name].topic_id == now[name].topic_id  # the number of a recreated topic applies from the next start
    }
    for name, before in sorted(grown):
        yield Finding(
            Severity.ERROR,
            AUDIT,
            f"service {service.name}, topic {name}",
            f"{counted(now[name].partitions, 'partition')}; a worker here first read it with {before}",
            "the service places records by that number, and a key belongs to another partition now: the inputs that"
            " depend on the topic are held back",
            (f"create {name} again with {counted(before, 'partition')}, and write its records again",),
        )
