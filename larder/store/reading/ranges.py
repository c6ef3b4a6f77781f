"""Translates ranges of keys into ranges of bytes, in the order of the keys.

Text, bytes and UUIDs sort as their bytes do. Integers have Java's encoding, two's complement, so that negative ones
come last: a range of integers is two ranges of bytes. Pure; knows no stores.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from larder.declaring.keys import BYTES, INT64, KeyType
from larder.declaring.problems import Problem
from larder.store.errors import InvalidRangeError
from larder.store.layout import after_prefix

_LOWEST: Final = -(2**63)


class Range(NamedTuple):
    """The bytes from `first` to before `end`, or to the last key."""

    first: bytes
    end: bytes | None


def ranges(key_type: KeyType, prefix: Any, from_: Any, to: Any, after: bytes | None = None) -> list[Range]:
    """Return the ranges of encoded keys in the order of keys, with `after` only the part after that encoded key.

    `from_` is inclusive, `to` exclusive, and None leaves a side open. `prefix` is text (bytes for keys of bytes).
    Raise InvalidRangeError for values that are not of the key's type, and for an `after` outside the range.
    """
    wanted = _ranges(key_type, prefix, from_, to)
    return wanted if after is None else _beyond(wanted, after)


def _ranges(key_type: KeyType, prefix: Any, from_: Any, to: Any) -> list[Range]:
    try:
        if key_type is INT64:
            return _integers(key_type, prefix, from_, to)
        first = b"" if from_ is None else key_type.encode(from_)
        end = None if to is None else key_type.encode(to)
        return _under(b"" if prefix is None else _prefix(key_type, prefix), first, end)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidRangeError(
            Problem(
                f"range prefix={prefix!r} from={from_!r} to={to!r}",
                f"keys must be of the type {key_type.name}",
                str(error),
                "give values of that type, and a prefix for text or bytes only",
            ),
        ) from None


def _beyond(wanted: list[Range], after: bytes) -> list[Range]:
    for at, (first, end) in enumerate(wanted):
        if first <= after and (end is None or after < end):
            return [Range(after + b"\0", end), *wanted[at + 1 :]]
    problem = Problem("a range", "requires to continue at a key inside it", "another one", "start the range again")
    raise InvalidRangeError(problem)


def ordering(key_type: KeyType) -> Callable[[bytes], Any]:
    """Return the function by which encoded keys sort in the order of keys."""
    return key_type.decode if key_type is INT64 else bytes


def _prefix(key_type: KeyType, prefix: Any) -> bytes:
    encoded: bytes = prefix if key_type is BYTES else prefix.encode()
    return encoded


def _under(prefix: bytes, first: bytes, end: bytes | None) -> list[Range]:
    last = after_prefix(prefix)
    ends = [bound for bound in (end, last) if bound is not None]
    return [Range(max(prefix, first), min(ends) if ends else None)]


def _integers(key_type: KeyType, prefix: Any, from_: Any, to: Any) -> list[Range]:
    if prefix is not None:
        message = "a prefix of an integer"
        raise TypeError(message)
    low = _LOWEST if from_ is None else from_
    encode = key_type.encode
    if to is not None:
        encode(to)
    found = []
    if low < 0:
        found.append(Range(encode(low), encode(to) if to is not None and to < 0 else None))
    if to is None or to > 0:
        found.append(Range(encode(max(low, 0)), encode(_LOWEST) if to is None else encode(to)))
    return found
