"""Decodes JSON into declared types. Accepts whole floats as integers, and explains errors.

Some languages write an integer as 1.0 or 1.0E7. msgspec's strict decoder comes first; only values that it rejects
are decoded again. Does not know topics.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from larder.declaring.envelopes import envelope_of
from larder.declaring.fields import json_names

# Each string and each number is one match, so that the time grows linearly with the length of the JSON.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?', re.DOTALL)
# The longest number that is converted; a 64-bit integer has at most 20 characters.
_LONGEST: Final = 40
_INTEGERS: Final = 2.0**64

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def decoder(kind: Any) -> Callable[[Any], Any]:
    """Build the function that decodes JSON into a type; it raises msgspec's errors with better explanations."""
    strict = msgspec.json.Decoder(kind).decode

    def decode(value: bytes) -> Any:
        try:
            return strict(value)
        except msgspec.DecodeError as error:
            return _decoded_again(kind, strict, bytes(value), error)

    return decode


def _decoded_again(kind: Any, strict: Callable[[bytes], Any], value: bytes, error: msgspec.DecodeError) -> Any:
    """Decode a rejected value again, with whole floats as integers; raise the error, explained if possible."""
    if not isinstance(error, msgspec.ValidationError):
        raise _explained(value, error) from None
    plain = with_integers(value)
    try:
        return strict(plain)
    except msgspec.ValidationError as again:
        raise _enveloped(kind, value, again) from None


def _enveloped(kind: Any, value: bytes, error: msgspec.ValidationError) -> msgspec.ValidationError:
    """Add to an error which envelope is around the value, if any, and how to remove it."""
    if not isinstance(kind, type(msgspec.Struct)):
        return error
    found = envelope_of(value, json_names(kind))
    return (
        error
        if found is None
        else msgspec.ValidationError(f"{error}; the value is {found.name}: {'; '.join(found.do)}")
    )


def with_integers(value: bytes) -> bytes:
    """Write the whole floats in JSON as integers; strings do not change."""
    return _TOKEN.sub(lambda found: _integer(found[0]), value)


def _integer(token: bytes) -> bytes:
    if token[:1] == b'"' or token.isdigit() or len(token) > _LONGEST:
        return token
    text = token.decode()
    if not abs(float(text)) < _INTEGERS:
        return token
    exact = Decimal(text)
    whole = int(exact)
    return b"%d" % whole if whole == exact else token


def _explained(value: bytes, error: msgspec.DecodeError) -> msgspec.DecodeError:
    """Explain an empty value and a lone surrogate, which msgspec reports as truncated input."""
    if not value.strip():
        return msgspec.DecodeError("the value is empty; send null, a record without a value, for a deletion")
    if lone := next((found[1] for found in _ESCAPE.finditer(value) if found[1]), None):
        return msgspec.DecodeError(f"a text has the lone surrogate \\{lone.decode()}, which is no character")
    return error
