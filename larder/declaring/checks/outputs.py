"""Checks that a record with its rows makes a row of the output topic.

These checks are for joins without a function: the result is the record's own JSON with the rows in it. Pure: values
in, problems out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from larder.declaring.checks.topics import type_name
from larder.declaring.fields import fields, json_names, scalar
from larder.declaring.missing import PassOn
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.joins import Join


def output_problems(declared: str, join: Join) -> Iterator[Problem]:
    """Check the names of the rows in the result, its key and its fields."""
    yield from _embed_problems(declared, join)
    yield from _output_key_problems(declared, join)
    yield from _output_field_problems(declared, join)
    if PassOn in join.missing:
        yield from _null_problems(declared, join)


def _embed_problems(declared: str, join: Join) -> Iterator[Problem]:
    taken = set(json_names(join.source.row))
    for lookup in join.lookups:
        if lookup.embed in taken:
            yield Problem(
                declared,
                "a row requires a name of its own in the result",
                f'"{lookup.embed}" for {lookup.table.name}, which is taken',
                f'name it: .on("{lookup.field}", embed="...")',
            )
        taken.add(lookup.embed)


def _output_key_problems(declared: str, join: Join) -> Iterator[Problem]:
    key = fields(join.into.row).get(join.into.key)
    if key is None:
        return
    known = {field.encode_name: name for name, field in fields(join.source.row).items()}
    requires = f"the key of {join.into.name} requires a field of the order"
    do = "take a key that the order has, or make the result with a function"
    if key.encode_name not in known:
        yield Problem(declared, requires, f'"{key.encode_name}"', do)
        return
    found = scalar(join.source.row, known[key.encode_name]).key_type
    if found is None or found.python is not join.into.key_type:
        type_found = type_name(join.source.row, known[key.encode_name])
        wanted = getattr(join.into.key_type, "__name__", repr(join.into.key_type))
        yield Problem(
            declared,
            f"{requires} of type {wanted}",
            f"{join.source.row.__name__}.{known[key.encode_name]}: {type_found}",
            do,
        )


def _output_field_problems(declared: str, join: Join) -> Iterator[Problem]:
    given = json_names(join.source.row) | {lookup.embed for lookup in join.lookups}
    lacking = [
        f'"{field.encode_name}"'
        for field in fields(join.into.row).values()
        if field.required and field.name != join.into.key and field.encode_name not in given
    ]
    if lacking:
        yield Problem(
            declared,
            f"{join.into.row.__name__} requires fields that the order or a table gives",
            f"{', '.join(lacking)} in neither",
            'name a row so: .on(..., embed="..."), give the field a default, or make the result with a function',
        )


def _null_problems(declared: str, join: Join) -> Iterator[Problem]:
    """Check that readers can decode results in which a missing row, which is passed on, is null."""
    row = join.into.row
    names = {field.encode_name: name for name, field in fields(row).items()}
    for name in [names[lookup.embed] for lookup in join.lookups if lookup.embed in names]:
        if not scalar(row, name).nullable:
            found = type_name(row, name)
            yield Problem(
                declared,
                f"missing=PassOn requires a field of {row.__name__} that may be null for each row",
                f"{row.__name__}.{name}: {found}",
                f"declare it as {found} | None, or choose another step than PassOn",
            )
