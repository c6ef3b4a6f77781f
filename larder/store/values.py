r"""Encodes the values of index fields, in order and without ambiguity.

The row's key follows the bytes of a value, so that these have to show where they end, whatever is
in them (texts with zero bytes, an empty text, null):

    null    01
    false   02, true 03
    number  04, the order-preserving bits of the nearest float (8 bytes), then what
            the float lacks to the exact integer (length and sign in 2 bytes, and the
            digits): 1 and 1.0 are one value, and large integers stay apart
    text    05, UTF-8 with 00 as 00 FF, then 00 01
    bytes   06, likewise
    other   07, its JSON, likewise

Bytes sort as the values of one kind do. They are stored: a change requires another FORMAT.
Knows no indexes and no stores.
"""

from struct import Struct
from typing import Any, Final

import msgspec

_NULL: Final = b"\x01"
_FALSE: Final = b"\x02"
_TRUE: Final = b"\x03"
_NUMBER: Final = b"\x04"
_TEXT: Final = b"\x05"
_BYTES: Final = b"\x06"
_OTHER: Final = b"\x07"

_FLOAT: Final = Struct(">d").pack
_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
# The zero of the length of what a float lacks; 4300 digits, Python's limit for an
# integer from text, are 1786 bytes.
_ZERO_LENGTH: Final = 0x8000


def encoded(value: Any) -> bytes:
    """Encode a value; works for everything that msgspec decodes from JSON."""
    if value is None:
        return _NULL
    if isinstance(value, str):
        return _TEXT + _ended(value.encode())
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int | float):
        return _number(value)
    return _BYTES + _ended(value) if isinstance(value, bytes) else _other(msgspec.to_builtins(value))


def _other(plain: Any) -> bytes:
    """Encode what JSON writes as text or number, and lists and objects."""
    if isinstance(plain, str | int | float):
        return encoded(plain)
    return _OTHER + _ended(msgspec.json.encode(plain, order="deterministic"))


def _ended(text: bytes) -> bytes:
    return (text.replace(b"\0", b"\0\xff") if b"\0" in text else text) + b"\0\x01"


def _number(value: float) -> bytes:
    try:
        near = float(value)
    except OverflowError:
        near = float("inf") if value > 0 else float("-inf")
    bits = int.from_bytes(_FLOAT(near + 0.0), "big")
    ordered = bits ^ (_ALL if bits & _SIGN else _SIGN)
    return _NUMBER + ordered.to_bytes(8, "big") + _rest(_lacking(value, near))


def _lacking(value: float, near: float) -> int:
    if not isinstance(value, int):
        return 0
    return value if near in {float("inf"), float("-inf")} else value - int(near)


def _rest(rest: int) -> bytes:
    """Encode an integer, length first, so that bytes sort as integers do."""
    size = (rest.bit_length() + 7) // 8
    if rest < 0:
        length = _ZERO_LENGTH - size
        rest += 256**size
    else:
        length = _ZERO_LENGTH + size
    return length.to_bytes(2, "big") + rest.to_bytes(size, "big")
