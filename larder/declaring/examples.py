"""Examples of JSON objects, to copy and fill in: texts are the names of their fields in capitals. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from larder.declaring.rows import Row

_VALUES: Final[Mapping[str, Any]] = {
    "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None,
}  # fmt: skip


def example(kind: type[Row], elsewhere: Collection[str]) -> dict[str, Any]:
    """Return an object with the fields that a type requires, except those `elsewhere`; objects inside are empty."""
    (reference,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    schemas = components[reference["$ref"]]["properties"]
    needed = [each for each in msgspec.structs.fields(kind) if each.required and each.name not in elsewhere]
    return {each.encode_name: _value(each.name, schemas[each.encode_name], components) for each in needed}


def _value(name: str, schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    first = schema.get("anyOf", [schema])[0]
    found = components.get(first.get("$ref"), first)
    return found["enum"][0] if "enum" in found else _VALUES.get(found.get("type"), name.upper())
