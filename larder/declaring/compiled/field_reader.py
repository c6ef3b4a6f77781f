"""Reads single fields of raw JSON, as encoded keys.

A reader decodes a struct with only the needed fields. It checks that the rest of the record is JSON, and skips it.
This module knows row types and key types, but no joins.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, cast

import msgspec
from msgspec.structs import FieldInfo

from larder.declaring.decoding import decoder
from larder.declaring.fields import fields
from larder.declaring.keys import TEXT, KeyType
from larder.declaring.problems import LarderError

Key: TypeAlias = bytes | None
Keys: TypeAlias = tuple[Key, ...]
One: TypeAlias = Callable[[bytes | None], Keys]
Many: TypeAlias = Callable[[Sequence[bytes | None]], tuple[list[Key], ...]]
Decode: TypeAlias = Callable[[Any], Any]
Encode: TypeAlias = Callable[[Any], bytes]

_NO_VALUE: Final = "the record has no value"


class TooDeepError(LarderError, ValueError):
    """A record's JSON is nested too deeply to be read."""

    def __init__(self) -> None:
        """Set the message, which is clearer than the decoder's."""
        super().__init__("JSON is nested too deeply to be read")


class NoValueError(LarderError, ValueError):
    """A record has no value although one is needed."""


class FieldReader(NamedTuple):
    """Functions from raw JSON to the encoded keys in some of its fields.

    `one(value)` returns a key for each field, `many(values)` a list of keys for each
    field. None stands for null. Both raise ValueError if they cannot read a record.
    """

    one: One
    many: Many


def reader(row: type, needed: Sequence[tuple[str, KeyType]]) -> FieldReader:
    """Build the reader of some fields of a row type, each with its key type."""
    # A field is decoded once, even if two tables are looked up by it.
    names = list(dict.fromkeys(name for name, _ in needed))
    part = _partial_type(row, names)
    columns = [(names.index(name), _encoder(key_type)) for name, key_type in needed]
    decode = decoder(part)
    return FieldReader(_one(decode, columns), _many(msgspec.json.Decoder(part).decode, decode, columns))


def _partial_type(row: type, names: Sequence[str]) -> type:
    """Return a type with only the named fields, as attributes f0, f1, ...

    A field keeps its type and its default, so that a missing field has the same effect as in the whole row.
    """
    known = fields(row)
    needed = [(f"f{number}", known[name].type, _same_default(known[name])) for number, name in enumerate(names)]
    return msgspec.defstruct(f"{row.__name__}Part", needed, frozen=True, kw_only=True, gc=False)


def _same_default(field: FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default=field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default_factory=field.default_factory)
    return msgspec.field(name=field.encode_name)


def _check_text(value: bytes) -> None:
    """Raise UnicodeDecodeError, a ValueError, if a value is not UTF-8; decoding does not check what it skips."""
    if not value.isascii():
        value.decode()


def _encoder(key_type: KeyType) -> Encode:
    # The decoder has already checked that the value is text.
    return str.encode if key_type is TEXT else key_type.encode


def _one(decode: Decode, columns: Sequence[tuple[int, Encode]]) -> One:
    """Build the function for one record, with special cases for one and two keys."""
    match columns:
        case [(0, encode)]:
            return _one_of_one(decode, encode)
        case [(0, encode_first), (1, encode_second)]:
            return _one_of_two(decode, encode_first, encode_second)
        case _:
            many = _many(decode, decode, columns)
            return lambda value: tuple(keys[0] for keys in many((value,)))


def _one_of_one(decode: Decode, encode: Encode) -> One:
    def one(value: bytes | None) -> Keys:
        if value is None:
            raise NoValueError(_NO_VALUE)
        _check_text(value)
        try:
            field = decode(value).f0
        except RecursionError:
            raise TooDeepError from None
        return (None if field is None else encode(field),)

    return one


def _one_of_two(decode: Decode, encode_first: Encode, encode_second: Encode) -> One:
    def one(value: bytes | None) -> Keys:
        if value is None:
            raise NoValueError(_NO_VALUE)
        _check_text(value)
        try:
            part = decode(value)
        except RecursionError:
            raise TooDeepError from None
        first = part.f0
        second = part.f1
        return (
            None if first is None else encode_first(first),
            None if second is None else encode_second(second),
        )

    return one


def _many(strict: Decode, decode: Decode, columns: Sequence[tuple[int, Encode]]) -> Many:
    keys_of = [_column(number, encode) for number, encode in columns]

    def many(values: Sequence[bytes | None]) -> tuple[list[Key], ...]:
        if None in values:
            raise NoValueError(_NO_VALUE)
        if not all(map(bytes.isascii, cast("Sequence[bytes]", values))):
            for value in values:
                _check_text(cast("bytes", value))
        try:
            parts = _decoded(strict, decode, values)
        except RecursionError:
            raise TooDeepError from None
        return tuple(keys(parts) for keys in keys_of)

    return many


def _decoded(strict: Decode, decode: Decode, values: Sequence[bytes | None]) -> list[Any]:
    """Decode a batch strictly; if that fails, use the decoder that costs a call for each record."""
    try:
        return [strict(value) for value in values]
    except msgspec.DecodeError:
        return [decode(value) for value in values]


def _column(number: int, encode: Encode) -> Callable[[Sequence[Any]], list[Key]]:
    """Build the function that encodes the keys of one field; the first two cases need no call for each record."""
    if number == 0:
        return lambda parts: [None if part.f0 is None else encode(part.f0) for part in parts]
    if number == 1:
        return lambda parts: [None if part.f1 is None else encode(part.f1) for part in parts]
    get = attrgetter(f"f{number}")
    return lambda parts: [None if field is None else encode(field) for field in map(get, parts)]
