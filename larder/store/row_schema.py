"""How the rows of one topic are read: its decoder, key, revision and index fields.

Made once for each table, from its declaration. Knows declarations, but neither bytes on
disk nor RocksDB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec

from larder.declaring.decoding import decoder
from larder.declaring.keys import TEXT, KeyType
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic

# What decoding and encoding raise for input that is not of the declared types: msgspec
# for JSON and types, ValueError for keys, RecursionError for JSON nested too deeply.
UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Shape:
    """The parts of a declaration that `plan` needs, resolved once.

    decode       JSON bytes to a validated row.
    strict       the same, faster, for a batch: it refuses whole floats for integers.
    identify     row to (value of the key field, revision); without a declared revision
                 the second is the key again, and not used.
    encode_key   value of the key field to the bytes of the message key.
    revised      whether a revision is declared; otherwise the offset decides.
    indexed      row to the values of its index fields, in the order of `indexes`.
    """

    topic: str
    row: type[Row]
    key_field: str
    key_type: KeyType
    revision_field: str | None
    decode: Callable[[bytes], Row]
    strict: Callable[[bytes], Row]
    identify: Callable[[Row], tuple[Any, Any]]
    encode_key: Callable[[Any], bytes]
    revised: bool
    revision_token: bytes
    indexes: tuple[str, ...]
    indexed: Callable[[Row], tuple[Any, ...]]


def shape(topic: OwnerTopic) -> Shape:
    """Resolve a declaration, in which the checks at start found no mistakes."""
    key_type = topic.key_codec
    indexes = tuple(topic.indexes)
    revision = topic.revision
    return Shape(
        topic=topic.name,
        row=topic.row,
        key_field=topic.key,
        key_type=key_type,
        revision_field=revision,
        decode=decoder(topic.row),
        strict=msgspec.json.Decoder(topic.row).decode,
        identify=attrgetter(topic.key, revision or topic.key),
        # The method of str takes a third of the time of a function in Python.
        encode_key=str.encode if key_type is TEXT else key_type.encode,
        revised=revision is not None,
        revision_token=b'"%s":' % _json_name(topic.row, revision) if revision else b"",
        indexes=indexes,
        indexed=_values_of(indexes),
    )


def _json_name(row: type[Row], field: str) -> bytes:
    """Return the name of a field in JSON; msgspec raises TypeError unless it is a struct."""
    names = {known.name: known.encode_name for known in msgspec.structs.fields(row)}
    return names.get(field, field).encode()


def _values_of(fields: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(fields) > 1:
        return attrgetter(*fields)
    return lambda row: tuple(getattr(row, field) for field in fields)
