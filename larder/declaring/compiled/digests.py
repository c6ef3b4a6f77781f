"""Hashes of what clients send: two requests with one hash are the same request."""

from __future__ import annotations

from collections.abc import Container
from hashlib import sha256
from typing import Any

import msgspec


def hash_of(*parts: bytes) -> bytes:
    """Hash parts by their lengths: no two lists of parts look alike."""
    found = sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def digest(event: msgspec.Struct, stated: Container[str]) -> bytes:
    """Hash the value of a request, without fields that have their defaults: a default that is added changes nothing.

    `stated` are the names in JSON of the fields that were sent: any other may have another default each time.
    """
    return hash_of(_canonical({name: value for name, value in _given(event).items() if name in stated}))


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _given(value: Any) -> Any:
    """Return a value as plain ones, without fields that have their defaults."""
    if isinstance(value, msgspec.Struct):
        fields = {each.encode_name: (getattr(value, each.name), each) for each in msgspec.structs.fields(value)}
        given = {name: _given(each) for name, (each, field) in fields.items() if not _is_default(each, field)}
        config = value.__struct_config__
        return given if config.tag_field is None else {config.tag_field: config.tag, **given}
    if isinstance(value, list | tuple):
        return [_given(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(_given, value), key=_canonical)
    if isinstance(value, dict):
        return {str(name): _given(each) for name, each in value.items()}
    return value


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return field.default is not msgspec.NODEFAULT and bool(value == field.default)
