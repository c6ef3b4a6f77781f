"""Putting rows into an order without decoding either.

The raw JSON of each row goes in front of the order's last brace. Works on bytes that
are known to be one JSON object each, and may not know joins or topics. The key is
taken along here because one more call for each record costs as much as the splice.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

Rows: TypeAlias = Sequence[bytes | None]
KeyOf: TypeAlias = Callable[[bytes], bytes]
Splice: TypeAlias = Callable[[bytes | None, bytes, Rows], tuple[bytes, bytes]]

_BRACE: Final = ord("}")
_NULL: Final = b"null"


def splicer(names: Sequence[str], key_of: KeyOf, *, never_empty: bool) -> Splice:
    """Build the function that puts rows into an order under these names.

    It takes the record's key, the order, and a row for each name; a row that is None
    is written as `null`. It gives the key and the result. A key that is None is read
    from the order with `key_of`. `never_empty` says that an order has at least one
    field, so that a comma is always right in front of the first name.
    """
    heads = [b"," + msgspec.json.encode(name) + b":" for name in names]
    if not never_empty:
        return _into_any(heads, key_of)
    match heads:
        case [head]:
            return _one(head, key_of)
        case [head, next_head]:
            return _two(head, next_head, key_of)
        case _:
            return _several(heads, key_of)


def _one(head: bytes, key_of: KeyOf) -> Splice:
    join = b"".join

    def splice(key: bytes | None, order: bytes, rows: Rows) -> tuple[bytes, bytes]:
        if key is None:
            key = key_of(order)
        if order[-1] != _BRACE:
            order = order.rstrip()
        (row,) = rows
        return key, join((order[:-1], head, _NULL if row is None else row, b"}"))

    return splice


def _two(head: bytes, next_head: bytes, key_of: KeyOf) -> Splice:
    join = b"".join

    def splice(key: bytes | None, order: bytes, rows: Rows) -> tuple[bytes, bytes]:
        if key is None:
            key = key_of(order)
        if order[-1] != _BRACE:
            order = order.rstrip()
        row, next_row = rows
        return key, join(
            (
                order[:-1],
                head,
                _NULL if row is None else row,
                next_head,
                _NULL if next_row is None else next_row,
                b"}",
            ),
        )

    return splice


def _several(heads: Sequence[bytes], key_of: KeyOf) -> Splice:
    result = b"%b" + b"".join(head.replace(b"%", b"%%") + b"%b" for head in heads)
    result += b"}"

    def splice(key: bytes | None, order: bytes, rows: Rows) -> tuple[bytes, bytes]:
        if key is None:
            key = key_of(order)
        order = order.rstrip()
        filled = [_NULL if row is None else row for row in rows]
        return key, result % (order[:-1], *filled)

    return splice


def _into_any(heads: Sequence[bytes], key_of: KeyOf) -> Splice:
    """Splice where the order may be `{}`: then the first comma has to go."""
    splice_several = _several(heads, key_of)

    def splice(key: bytes | None, order: bytes, rows: Rows) -> tuple[bytes, bytes]:
        opened = order.rstrip()[:-1].rstrip()
        if key is None:
            key = key_of(order)
        key, result = splice_several(key, opened + b"}", rows)
        return key, result if opened != b"{" else b"{" + result[len(b"{,") :]

    return splice
