"""Putting rows into orders without decoding either.

The raw JSON of each row goes in front of the order's last brace. Works on bytes that
are known to be one JSON object each, and may not know joins or topics. Column by
column over a batch, since a call for each order would cost as much as its splice.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

Column: TypeAlias = Sequence[bytes | None]
Splice: TypeAlias = Callable[[Sequence[bytes], Sequence[Column]], list[bytes]]

_BRACE: Final = ord("}")
_NULL: Final = b"null"


def splicer(names: Sequence[str], *, never_empty: bool) -> Splice:
    """Build the function that puts rows into orders under these names.

    It takes the orders, and a column of rows for each name; a row that is None is
    written as `null`. `never_empty` says that an order has at least one field, so that
    a comma is always right in front of the first name.
    """
    heads = [b"," + msgspec.json.encode(name) + b":" for name in names]
    result = b"%b" + b"".join(head.replace(b"%", b"%%") + b"%b" for head in heads) + b"}"

    def splice(orders: Sequence[bytes], rows: Sequence[Column]) -> list[bytes]:
        opened = [order[:-1] if order[-1] == _BRACE else order.rstrip()[:-1] for order in orders]
        return [result % parts for parts in zip(opened, *map(_written, rows), strict=True)]

    def splice_any(orders: Sequence[bytes], rows: Sequence[Column]) -> list[bytes]:
        empty = [order.strip()[1:-1].isspace() or order.strip() == b"{}" for order in orders]
        return [
            b"{" + spliced.partition(b",")[2] if alone else spliced
            for alone, spliced in zip(empty, splice(orders, rows), strict=True)
        ]

    return splice if never_empty else splice_any


def _written(rows: Column) -> Column:
    return [_NULL if row is None else row for row in rows] if None in rows else rows
