"""Encodes and decodes keys.

Users declare a key by its Python type. The bytes are those of Java's own serializers, so that other programs find
the same partition and the same row. Does not know topics or rows.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from larder.declaring.problems import LarderError

_INT64_BYTES: Final = 8
_PLAIN_UUID: Final = rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID: Final = re.compile(rb"%b|\{%b\}" % (_PLAIN_UUID, _PLAIN_UUID))


class InvalidKeyError(LarderError, ValueError):
    """A value, or the bytes of a key, do not match the declared key type."""


@dataclass(frozen=True, slots=True)
class KeyType:
    """One type of key: its name, its Python type, and how to encode and decode it.

    `encode(value)` returns the bytes of the message key, `decode(bytes)` the value. Both raise ValueError (usually
    InvalidKeyError) for another type. `one_form(bytes)` returns the bytes that `encode` returns for the same key, and
    invalid keys unchanged. It is None if a key has only one form.
    """

    name: str
    python: type
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    one_form: Callable[[bytes], bytes] | None = None


def _encode_text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise InvalidKeyError(_not_a("text", value))
    return value.encode()


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise InvalidKeyError(_not_a("bytes", value))
    return value


def _encode_int64(value: Any) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidKeyError(_not_a("int64", value))
    try:
        return value.to_bytes(_INT64_BYTES, "big", signed=True)
    except OverflowError:
        raise InvalidKeyError(_not_a("int64", value)) from None


def _decode_int64(key: bytes) -> int:
    if len(key) != _INT64_BYTES:
        message = f"an int64 key requires 8 bytes; found {len(key)}"
        raise InvalidKeyError(message)
    return int.from_bytes(key, "big", signed=True)


def _encode_uuid(value: Any) -> bytes:
    if not isinstance(value, uuid.UUID):
        raise InvalidKeyError(_not_a("uuid", value))
    return str(value).encode()


def _decode_uuid(key: bytes) -> uuid.UUID:
    if _UUID.fullmatch(key) is None:
        message = f"a uuid key requires 36 characters with dashes; found {key!r}"
        raise InvalidKeyError(message)
    return uuid.UUID(key.decode())


def _one_form_of_uuid(key: bytes) -> bytes:
    """Return a UUID in lower case without braces; .NET and SQL Server write other forms."""
    return key.strip(b"{}").lower() if _UUID.fullmatch(key) else key


def _not_a(name: str, value: object) -> str:
    return f"a {name} key requires a value of that type; found {value!r}"


# UTF-8, like org.apache.kafka.common.serialization.StringSerializer.
TEXT: Final = KeyType("text", str, _encode_text, bytes.decode)
# The bytes themselves; in the JSON of a row they are base64.
BYTES: Final = KeyType("bytes", bytes, _encode_bytes, _encode_bytes)
# Eight bytes, big endian, signed, like LongSerializer.
INT64: Final = KeyType("int64", int, _encode_int64, _decode_int64)
# 36 characters of text, like UUIDSerializer; upper case and braces are accepted.
UUID: Final = KeyType("uuid", uuid.UUID, _encode_uuid, _decode_uuid, _one_form_of_uuid)

KEY_TYPES: Final[Mapping[type, KeyType]] = MappingProxyType(
    {key_type.python: key_type for key_type in (TEXT, BYTES, INT64, UUID)},
)
