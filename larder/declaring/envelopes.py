"""Recognises the envelopes that Kafka Connect and Debezium put around rows, by the fields of a JSON object. Pure.

A value in an envelope is not a row: the row is nested in it. Does not know topics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Envelope(NamedTuple):
    """An envelope around a row, and the settings of Kafka Connect that remove it."""

    name: str
    do: tuple[str, ...]


_PLAIN: Final = "set value.converter.schemas.enable=false for the connector"
_UNWRAP: Final = (
    "give the connector the transform that writes the row alone: transforms=unwrap,"
    " transforms.unwrap.type=io.debezium.transforms.ExtractNewRecordState"
)

CONNECT: Final = Envelope("a Connect envelope (schema, payload)", (_PLAIN,))
DEBEZIUM: Final = Envelope("a Debezium envelope (before, after, op)", (_UNWRAP,))
BOTH: Final = Envelope(
    "a Debezium envelope (before, after, op) in a Connect envelope (schema, payload)", (_UNWRAP, _PLAIN)
)

_CHANGE: Final = frozenset({"before", "after", "op"})
_WITH_SCHEMA: Final = frozenset({"schema", "payload"})

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def envelope(given: Mapping[str, msgspec.Raw], known: Collection[str]) -> Envelope | None:
    """Recognise an envelope by the fields of a value; `known` are the row type's, by their names in JSON.

    A row type that declares these fields reads the envelope on purpose.
    """
    if _CHANGE.issubset(given) and not _CHANGE.issubset(known):
        return DEBEZIUM
    if given.keys() != _WITH_SCHEMA or _WITH_SCHEMA.issubset(known):
        return None
    return BOTH if _CHANGE.issubset(_names(given["payload"])) else CONNECT


def envelope_of(value: bytes, known: Collection[str]) -> Envelope | None:
    """Recognise the envelope of an undecoded value."""
    return envelope(_object(value), known)


def _names(value: msgspec.Raw) -> Collection[str]:
    return _object(value).keys()


def _object(value: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _fields(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}
