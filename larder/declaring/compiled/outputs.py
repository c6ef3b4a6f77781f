"""Makes the key and the value of a join's result.

The value is either the record's own JSON with the rows spliced in, or the result of a function. Bytes in, bytes
out; does not know where rows come from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec

from larder.declaring.compiled.field_reader import TooDeepError, reader
from larder.declaring.compiled.splicing import Column, splicer
from larder.declaring.decoding import decoder
from larder.declaring.fields import fields
from larder.declaring.keys import BYTES, TEXT
from larder.declaring.problems import LarderError
from larder.declaring.user_functions import FunctionFailedError, call, failed

if TYPE_CHECKING:
    from larder.declaring.joins import Join

Produced: TypeAlias = tuple[bytes, bytes]
Outputs: TypeAlias = tuple[Sequence[bytes], Sequence[bytes | None], int]
OutputMany: TypeAlias = Callable[[Sequence[bytes | None], Sequence[bytes], Sequence[Column]], Outputs]

_UNWANTED: Final = (b"", None)


class NullKeyError(LarderError, ValueError):
    """A result has null in the key field of its topic."""


def outputs_of(join: Join) -> OutputMany:
    """Build the function that makes the results of a join: their keys, and their values (None for no result).

    It takes the keys and values of records, and a column of rows for each lookup. It also returns the number of
    records from which it removed a field with the name of an embedded row.
    """
    return _spliced(join) if join.function is None else _called(join, join.function)


def _spliced(join: Join) -> OutputMany:
    source = fields(join.source.row)
    key_of, keeps_key = _key_in_source(join), _keeps_key(join)
    # Any bytes are a valid key of type bytes, and text keys pass through unchanged.
    checked = None if join.into.key_codec in {TEXT, BYTES} else join.into.key_codec.decode
    splice = splicer(
        [lookup.embed for lookup in join.lookups],
        never_empty=any(field.required for field in source.values()),
    )

    def outputs(keys: Sequence[bytes | None], records: Sequence[bytes], rows: Sequence[Column]) -> Outputs:
        if keeps_key and None not in keys:
            known = cast("Sequence[bytes]", keys)
            if checked is not None:
                deque(map(checked, known), maxlen=0)
        else:
            known = [
                key_of(record) if key is None or not keeps_key else key
                for key, record in zip(keys, records, strict=True)
            ]
        return known, *splice(records, rows)

    return outputs


def _keeps_key(join: Join) -> bool:
    """Return whether the result has the key of the record, which then need not be read."""
    return (
        _json_name(join.into.row, join.into.key) == _json_name(join.source.row, join.source.key)
        and join.into.key_type is join.source.key_type
    )


def _key_in_source(join: Join) -> Callable[[bytes], bytes]:
    wanted = _json_name(join.into.row, join.into.key)
    field = next(field.name for field in fields(join.source.row).values() if field.encode_name == wanted)
    read, _ = reader(join.source.row, [(field, join.into.key_codec)])

    def key_of(value: bytes) -> bytes:
        (key,) = read(value)
        if key is None:
            message = f"{field} is null, and {join.into.name} has it as its key"
            raise NullKeyError(message)
        return key

    return key_of


def _json_name(row: type, field: str) -> str:
    return fields(row)[field].encode_name


def _called(join: Join, function: Callable[..., Any]) -> OutputMany:
    decode_record = decoder(join.source.row)
    decodes = [decoder(lookup.table.topic.row) for lookup in join.lookups]
    publish, row_types = _publisher(join), f"a row type of join {join.name}"

    def output(value: bytes, rows: Sequence[bytes | None]) -> Produced | tuple[bytes, None]:
        try:
            record = decode_record(value)
            typed = [None if row is None else decode(row) for decode, row in zip(decodes, rows, strict=True)]
        except ValueError:
            raise
        except RecursionError:
            raise TooDeepError from None
        except Exception as error:
            # Row types may run user code.
            raise failed(row_types, error) from error
        result = call(function, record, *typed)
        return _UNWANTED if result is None else publish(result)

    def outputs(_: Sequence[bytes | None], records: Sequence[bytes], rows: Sequence[Column]) -> Outputs:
        keys, values = zip(*map(output, records, zip(*rows, strict=True)), strict=True)
        return keys, values, 0

    return outputs


def _publisher(join: Join) -> Callable[[Any], Produced]:
    """Build the function that encodes the result of the user's function."""
    row, field, encode_key = join.into.row, join.into.key, join.into.key_codec.encode
    encode, writing = msgspec.json.Encoder().encode, f"writing the result of join {join.name}"

    def publish(result: Any) -> Produced:
        if not isinstance(result, row):
            message = f"the function of join {join.name} must give {row.__name__} or None; it gave {shortened(result)}"
            raise FunctionFailedError(message)
        try:
            return encode_key(getattr(result, field)), encode(result)
        except Exception as error:
            raise failed(writing, error) from error

    return publish
