"""Putting rows into orders without decoding either.

The raw JSON of each row goes in front of the order's last brace. Works on bytes that
are known to be one JSON object each, and may not know joins or topics. Column by
column over a batch, since a call for each order would cost as much as its splice.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

Column: TypeAlias = Sequence[bytes | None]
Splice: TypeAlias = Callable[[Sequence[bytes], Sequence[Column]], tuple[list[bytes], int]]

_BRACE: Final = ord("}")
_NULL: Final = b"null"
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def splicer(names: Sequence[str], *, never_empty: bool) -> Splice:
    """Build the function that puts rows into orders under these names.

    It takes the orders, and a column of rows for each name; a row that is None is
    written as `null`. A field of an order that has one of the names is left out: a
    parser that takes the first of two would see it instead of the row. It gives the
    results, and of how many orders a field was left out. `never_empty` says that an
    order has at least one field, so that a comma is always right in front of the first
    name.
    """
    quoted = [msgspec.json.encode(name) for name in names]
    # The escape that can spell a name in another way: in an identifier, only that of a code point.
    escape = b"\\u" if all(name.isidentifier() for name in names) else b"\\"
    heads = [b"," + msgspec.json.encode(name) + b":" for name in names]
    result = b"%b" + b"".join(head.replace(b"%", b"%%") + b"%b" for head in heads) + b"}"

    def without_forged(orders: Sequence[bytes]) -> tuple[Sequence[bytes], int]:
        # One search of the batch costs less than one of each order.
        batch = b"".join(orders)
        if escape not in batch and not any(name in batch for name in quoted):
            return orders, 0
        ours = [_without(order, names) for order in orders]
        return ours, sum(map(operator.is_not, ours, orders))

    def splice(orders: Sequence[bytes], rows: Sequence[Column]) -> tuple[list[bytes], int]:
        ours, forged = without_forged(orders)
        return join(ours, rows), forged

    def join(orders: Sequence[bytes], rows: Sequence[Column]) -> list[bytes]:
        opened = [order[:-1] if order[-1] == _BRACE else order.rstrip()[:-1] for order in orders]
        return [result % parts for parts in zip(opened, *map(_written, rows), strict=True)]

    def splice_any(orders: Sequence[bytes], rows: Sequence[Column]) -> tuple[list[bytes], int]:
        ours, forged = without_forged(orders)
        empty = [order.strip()[1:-1].isspace() or order.strip() == b"{}" for order in ours]
        results = [
            b"{" + spliced.partition(b",")[2] if alone else spliced
            for alone, spliced in zip(empty, join(ours, rows), strict=True)
        ]
        return results, forged

    return splice if never_empty else splice_any


def _without(order: bytes, names: Sequence[str]) -> bytes:
    """`order` without fields of these names; as it is where it has none, as names may be values, or lie deeper."""
    found = _FIELDS.decode(order)
    if found.keys().isdisjoint(names):
        return order
    return msgspec.json.encode({name: raw for name, raw in found.items() if name not in names})


def _written(rows: Column) -> Column:
    return [_NULL if row is None else row for row in rows] if None in rows else rows
