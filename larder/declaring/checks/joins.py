"""Checks of a join: its steps, its lookups, its partitions.

Pure: values in, problems out. `outputs` and `functions` check its results, `topics` its topics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from larder.declaring.checks.functions import function_problems
from larder.declaring.checks.keys import holds_key_of, source_key_problems
from larder.declaring.checks.outputs import output_problems
from larder.declaring.checks.topics import field_problems, rekey_problems, type_name
from larder.declaring.facts import RESTORE, Facts, input_name, waiting_name
from larder.declaring.fields import fields, unreadable
from larder.declaring.missing import Terminal, Wait
from larder.declaring.partition_counts import partitions
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.declaring.sources import Lookup, Source, events_of, partitioned_by
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.joins import Join
    from larder.declaring.service import Service


def join_problems(service: Service, join: Join, facts: Facts) -> Iterator[Problem]:
    """Check a join; skip checks that depend on an unreadable row type."""
    declared = f"join {join.source.name} into {join.into.name}"
    yield from _step_problems(declared, join)
    yield from _waiting_problems(declared, service, join, facts)
    if not join.lookups:
        yield Problem(
            declared,
            "a join requires at least one table",
            "none",
            'give it table.on("field")',
        )
    rows = [join.source.row, join.into.row]
    rows += [lookup.table.topic.row for lookup in join.lookups]
    if any(unreadable(row) for row in rows):
        return
    if isinstance(join.source, Rekeyed):
        yield from rekey_problems(declared, join.source)
    yield from _rows_problems(declared, service, join)
    for lookup in join.lookups:
        yield from _lookup_problems(service, join.source, lookup)
    if join.function is not None:
        yield from function_problems(declared, join, join.function)
    else:
        yield from output_problems(declared, join)


def _step_problems(declared: str, join: Join) -> Iterator[Problem]:
    match join.missing:
        case (Terminal(),) | (Wait(), Terminal()):
            pass
        case found:
            yield Problem(
                declared,
                "missing requires PassOn, Drop or DeadLetter, or a Wait before one",
                ", then ".join(map(repr, found)) or "no step",
                "write missing=DeadLetter, or missing=Wait(seconds=30).then(DeadLetter)",
            )
    for step in join.missing:
        if isinstance(step, Wait) and not _is_bounded(step):
            yield Problem(
                declared,
                "Wait requires seconds above zero and at_most from 1 on, both finite",
                repr(step),
                "give numbers within these bounds",
            )


def _waiting_problems(declared: str, service: Service, join: Join, facts: Facts) -> Iterator[Problem]:
    """Check the topic of waiting records: each waits in its input's partition, so a source that grew needs more."""
    name = waiting_name(service.name, join)
    # A source that others have grown is held back, until the service is scaled.
    settled = service.counts.get(input_name(service, join.source))
    found, wanted = facts.get(name), settled or partitions(service, join.source, facts)
    if join.wait is not None and found is not None and found.partitions != wanted:
        yield Problem(
            declared,
            f"records that wait require {counted(wanted, 'partition')} in {name}, as many as {join.source.name} has",
            str(found.partitions),
            RESTORE if join.placed else f"add partitions to {name}; what waits there stays where it is",
        )


def _is_bounded(wait: Wait) -> bool:
    numbers = isinstance(wait.seconds, int | float) and isinstance(wait.at_most, int)
    return numbers and 0 < wait.seconds < math.inf and wait.at_most >= 1


def _rows_problems(declared: str, service: Service, join: Join) -> Iterator[Problem]:
    """Check the results of rekeyed rows: rows move, so only revisions show which result is the newest."""
    source = events_of(join.source)
    if not (join.gathers and isinstance(source, OwnerTopic)):
        return
    into = join.into
    revision = into.revision if isinstance(into, OwnerTopic) else None
    if source.revision is None or revision is None or _json_name(into, revision) != _json_name(source, source.revision):
        yield Problem(
            declared,
            "rekeyed rows require an owner topic with their revision for their results",
            f"revision {source.revision!r} of {source.name}, {revision!r} of {type(into).__name__} {into.name}",
            "declare both as OwnerTopic, with the same field as their revision",
        )
    if any(table.held == "global" and table.name == into.name for table in service.tables):
        yield Problem(
            declared,
            "rekeyed rows require that their results are held by partition, where they are brought together",
            f"a global table of {into.name}",
            f"declare it with {service.name}.table, or in a service of its own",
        )
    if into.key_type is not source.key_type or _json_name(into, into.key) != _json_name(source, source.key):
        yield Problem(
            declared,
            "rekeyed rows require an owner topic with their key for their results",
            f"key {source.key!r} of {source.name}, {into.key!r} of {into.name}",
            "declare it with the same key",
        )


def _json_name(topic: EventTopic | OwnerTopic, field: str) -> str | None:
    known = fields(topic.row).get(field)
    return None if known is None else known.encode_name


def _lookup_problems(service: Service, source: Source, lookup: Lookup) -> Iterator[Problem]:
    table = lookup.table
    declared = f"join {source.name} with {table.name}"
    if table.service != service.name:
        yield Problem(
            declared,
            "a join requires tables of its own service",
            f"a table of {table.service} in {service.name}",
            f"declare it with global_table or table of {service.name}",
        )
    if not lookup.field:
        yield Problem(
            declared,
            "a global table requires the field that holds its key",
            "the table without .on",
            f'use .on("{_likely_field(source, lookup)}")',
        )
        return
    unknown = list(field_problems(declared, ".on", source.row, lookup.field))
    yield from unknown
    other = [] if unknown else list(source_key_problems(declared, source, lookup))
    yield from other
    if other:
        return
    if not unknown:
        yield from _fit_problems(declared, source, lookup)
    if table.held == "partition":
        yield from _copartition_problems(declared, source, lookup)


def _fit_problems(declared: str, source: Source, lookup: Lookup) -> Iterator[Problem]:
    if not holds_key_of(lookup.table.topic, source.row, lookup.field):
        key = lookup.table.topic.key_type
        yield Problem(
            declared,
            f"a key of {lookup.table.name} requires a field of type {getattr(key, '__name__', repr(key))}",
            f"{source.row.__name__}.{lookup.field}: {type_name(source.row, lookup.field)}",
            "look it up by a field of that type",
        )


def _copartition_problems(declared: str, source: Source, lookup: Lookup) -> Iterator[Problem]:
    table = lookup.table.topic
    field = _likely_field(source, lookup)
    events = events_of(source).name
    ways_out = f'use {events}.by("{field}"), or make {table.name} global'
    if lookup.field != partitioned_by(source):
        yield Problem(
            declared,
            "a co-partitioned table requires to be looked up by the field that partitions the source",
            f'.on("{lookup.field}") where the source is partitioned by "{partitioned_by(source)}"',
            ways_out,
        )


def _likely_field(source: Source, lookup: Lookup) -> str:
    """Guess the field that holds the table's key, for an instruction."""
    key = lookup.table.topic.key
    if lookup.field not in {"", source.key} or key not in fields(source.row):
        return lookup.field or key
    return key
