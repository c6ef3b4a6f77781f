"""Fields of a row type: their names, their names in JSON, and their key types.

Pure. Does not know topics or services.
"""

from functools import cache
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import FieldInfo

from larder.declaring.keys import BYTES, INT64, TEXT, UUID, KeyType


class Scalar(NamedTuple):
    """The key type of a field, if its values can be keys, and whether it may be null."""

    key_type: KeyType | None
    nullable: bool


_TAKES_NULL: Final = msgspec.inspect.AnyType | msgspec.inspect.RawType | msgspec.inspect.NoneType

_SCALARS: dict[type[msgspec.inspect.Type], KeyType] = {
    msgspec.inspect.StrType: TEXT,
    msgspec.inspect.BytesType: BYTES,
    msgspec.inspect.IntType: INT64,
    msgspec.inspect.UUIDType: UUID,
}


@cache
def unreadable(row: object) -> str | None:
    """Explain why a row type cannot be read from a JSON object; None if it can."""
    if not (isinstance(row, type) and issubclass(row, msgspec.Struct)):
        return f"{row!r}, which is no row type"
    if row.__struct_config__.array_like:
        return f"{row.__name__} with array_like=True"
    try:
        msgspec.json.Decoder(row)
        # msgspec makes a decoder for any class; only the schema shows which classes it does not know.
        msgspec.json.schema(row)
    except Exception as error:  # noqa: BLE001 - resolving annotations may run any code
        cause = str(error).rpartition("\n")[2]
        return f"{row.__name__} with {type(error).__name__}: {cause}"
    return None


@cache
def fields(row: type) -> dict[str, FieldInfo]:
    """Return the fields of a row type by their names in Python.

    Raise what msgspec and `typing` raise for a type that is not a struct, or whose annotations cannot be resolved.
    """
    return {field.name: field for field in msgspec.structs.fields(row)}


@cache
def json_names(row: type) -> frozenset[str]:
    """Return the names of a row type's fields in JSON."""
    return frozenset(field.encode_name for field in fields(row).values())


def scalar(row: type, field: str) -> Scalar:
    """Return the key type of a field; raise KeyError if the field is unknown.

    `key_type` is None for values that cannot be keys, such as fractions or lists.
    """
    found = msgspec.inspect.type_info(fields(row)[field].type)
    return _scalar(found)


def _scalar(found: msgspec.inspect.Type) -> Scalar:
    if isinstance(found, msgspec.inspect.Metadata):
        return _scalar(found.type)
    if not isinstance(found, msgspec.inspect.UnionType):
        return Scalar(_SCALARS.get(type(found)), nullable=isinstance(found, _TAKES_NULL))
    others = [option for option in found.types if not isinstance(option, msgspec.inspect.NoneType)]
    nullable = len(others) < len(found.types)
    only = _scalar(others[0]).key_type if len(others) == 1 else None
    return Scalar(only, nullable)
