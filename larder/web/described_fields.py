"""Describes the fields of a table's rows, as answers list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from larder.declaring.fields import fields

if TYPE_CHECKING:
    from larder.declaring.topics import OwnerTopic


def described_fields(topic: OwnerTopic) -> list[dict[str, Any]]:
    """Describe the fields of a table's rows."""
    return [_field(field) for field in fields(topic.row).values()]


def _field(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    default = None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        default = msgspec.to_builtins(field.default_factory())
    known = msgspec.inspect.type_info(field.type)
    meaning = None
    if isinstance(known, msgspec.inspect.Metadata) and known.extra_json_schema:
        meaning = known.extra_json_schema.get("description")
    return {
        "name": field.encode_name,
        "type": _type_name(field.type),
        "required": field.required,
        "default": default,
        "meaning": meaning,
    }


def _type_name(annotated: Any) -> str:
    if (inner := getattr(annotated, "__metadata__", None)) is not None and inner:
        return _type_name(annotated.__origin__)
    if isinstance(annotated, type) and not hasattr(annotated, "__args__"):
        return annotated.__name__
    return str(annotated).replace("typing.", "").replace("NoneType", "None")
