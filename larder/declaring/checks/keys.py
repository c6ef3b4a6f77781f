"""Checks that the key of a source is the key of the rows that belong to its records.

Pure. Two fields of one type may hold quite different values. So a source that is not rekeyed must have a key of the
same name, or declare what tables call its key (`key_is`).
"""

from collections.abc import Iterator

from larder.declaring.fields import fields, scalar
from larder.declaring.problems import Problem
from larder.declaring.sources import Lookup, Source, events_of
from larder.declaring.topics import OwnerTopic, Rekeyed


def input_key_problems(declared: str, source: Source, state: OwnerTopic) -> Iterator[Problem]:
    """Compare the key of a decide's input with its state's key."""
    if not is_keyed_as(source, state):
        yield Problem(
            declared,
            f'a state requires inputs with its own key, "{state.key}"',
            f'the key "{events_of(source).key}" in {source.name}',
            f"{advice(source, state)}{_same_key(source, state)}",
        )


def source_key_problems(declared: str, source: Source, lookup: Lookup) -> Iterator[Problem]:
    """Check the key of a source that is joined with a co-partitioned table without `.on`."""
    table = lookup.table.topic
    if lookup.implied and not is_keyed_as(source, table):
        yield Problem(
            declared,
            f'a co-partitioned table without .on requires a source with its own key, "{table.key}"',
            f'the key "{events_of(source).key}" in {source.name}',
            f"{advice(source, table)}, or make {table.name} global{_same_key(source, table)}",
        )


def is_keyed_as(source: Source, table: OwnerTopic) -> bool:
    """Return whether a source declares that its key is a table's key; `.by` is such a declaration."""
    return isinstance(source, Rekeyed) or table.key in {source.key, source.key_is}


def advice(source: Source, table: OwnerTopic) -> str:
    """Return by which field to partition a source, so that its records are in the partitions of a table's rows."""
    name, row = events_of(source).name, source.row
    fitting = [field for field in fields(row) if holds_key_of(table, row, field)]
    if table.key in fitting:
        return f'use {name}.by("{table.key}")'
    others = [f'.by("{field}")' for field in fitting if field != source.key]
    if others:
        return f"use {name} with {' or '.join(others)}"
    wanted = f'"{table.key}" of type {getattr(table.key_type, "__name__", repr(table.key_type))}'
    return f'give {row.__name__} a field {wanted}, and use {name}.by("{table.key}")'


def holds_key_of(table: OwnerTopic, row: type, field: str) -> bool:
    """Return whether a field has the type of a table's key; its name alone does not show that."""
    found = scalar(row, field).key_type if field in fields(row) else None
    return found is not None and found.python is table.key_type


def _same_key(source: Source, table: OwnerTopic) -> str:
    topic = events_of(source)
    if not holds_key_of(table, topic.row, topic.key):
        return ""
    return f'; if "{topic.key}" has the same values, declare key_is="{table.key}" in {topic.name}'
