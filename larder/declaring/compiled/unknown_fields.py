"""Finds fields in JSON that a type does not have.

It compares the JSON with the type and not with a decoded value: a value may leave out defaults, and may write the keys
of its dicts in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import inspect

_ANY: Final = inspect.AnyType()


def unknown_fields(value: Any, kind: inspect.Type, at: str = "$") -> Iterator[str]:
    """Yield the places of fields that a type does not have, as in `$.lines[1].cuont`.

    `value` is decoded JSON that is a value of the type: it was decoded into the type as well.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            of = _member(kind, value, name)
            if of is None:
                yield f"{at}.{name}"
            else:
                yield from unknown_fields(part, of, f"{at}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from unknown_fields(part, _item(kind, value, number), f"{at}[{number}]")


def _member(kind: inspect.Type, value: dict[str, Any], name: str) -> inspect.Type | None:
    """Return the type of a member of a JSON object; None if there is no such member."""
    match _chosen(kind, value):
        case inspect.DictType(value_type=of):
            return of
        case inspect.StructType(fields=fields, tag_field=tag):
            return _ANY if name == tag else _of(fields, name)
        case inspect.TypedDictType(fields=fields) | inspect.DataclassType(fields=fields):
            return _of(fields, name)
    return _ANY


def _of(fields: Sequence[inspect.Field], name: str) -> inspect.Type | None:
    return next((each.type for each in fields if each.encode_name == name), None)


def _item(kind: inspect.Type, value: list[Any], number: int) -> inspect.Type:
    """Return the type of an item of a JSON array."""
    match _chosen(kind, value):
        case inspect.CollectionType(item_type=of):
            return of
        case inspect.TupleType(item_types=types):
            return types[number]
        case inspect.NamedTupleType(fields=fields):
            return fields[number].type
        case inspect.StructType(fields=fields, tag=tag):
            # The tag is the first item; there may be more items than fields.
            place = number if tag is None else number - 1
            return fields[place].type if 0 <= place < len(fields) else _ANY
    return _ANY


def _chosen(kind: inspect.Type, value: Any) -> inspect.Type:
    """Return the part of a union to which a JSON object or array belongs: msgspec allows one, or several with tags."""
    options = [each for each in _options(kind) if _is_for(each, value)]
    if len(options) == 1:
        return options[0]
    return next((each for each in options if isinstance(each, inspect.StructType) and _has_tag(each, value)), _ANY)


def _options(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield from _options(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _options(each)
    else:
        yield kind


_OBJECTS: Final = inspect.DictType | inspect.TypedDictType | inspect.DataclassType
_ARRAYS: Final = inspect.CollectionType | inspect.TupleType | inspect.NamedTupleType


def _is_for(kind: inspect.Type, value: Any) -> bool:
    if isinstance(kind, inspect.StructType):
        return kind.array_like == isinstance(value, list)
    return isinstance(kind, _OBJECTS if isinstance(value, dict) else _ARRAYS)


def _has_tag(kind: inspect.StructType, value: Any) -> bool:
    tag = value[0] if isinstance(value, list) else value.get(kind.tag_field)
    return bool(tag == kind.tag)
