"""Paths of tables on a web port, encoded for URLs, and how many keys fit into one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEYS, KEYS_LENGTH = 1_000, 4_000
"""How many keys, and characters of keys, one address has; HTTP servers accept 8,000 characters."""


def table_path(table: str) -> str:
    """Return the path of a table."""
    return f"/tables/{quote(table, safe='')}"


def row_path(table: str, key: str) -> str:
    """Return the path of a row."""
    return f"{table_path(table)}/rows/{_dots(quote(key, safe=''))}"


def _dots(encoded: str) -> str:
    # Clients would resolve the segments "." and ".." as steps in the path.
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def rows_path(table: str, parameters: Sequence[tuple[str, Any]]) -> str:
    """Return the path of a list of rows."""
    return f"{table_path(table)}/rows?{urlencode(parameters)}"


def changes_path(table: str, prefix: str | None) -> str:
    """Return the path of the changes of a table."""
    query = "" if prefix is None else f"?{urlencode({'prefix': prefix})}"
    return f"{table_path(table)}/changes{query}"


def some_keys(keys: Sequence[str], room: int = KEYS_LENGTH) -> Iterator[list[str]]:
    """Split keys, in order, into the parts that fit into one request each."""
    some: list[str] = []
    length = 0
    for key in keys:
        more = len(urlencode({"key": key})) + 1
        if some and (len(some) == KEYS or length + more > room):
            yield some
            some, length = [], 0
        some.append(key)
        length += more
    if some:
        yield some
