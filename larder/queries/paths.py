"""Paths of tables on a web port, with what a URL cannot hold encoded, and how many keys there is room for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEYS, KEYS_LENGTH = 1_000, 4_000
"""In one question: so many keys, and characters of them in the address, of which HTTP servers take 8,000."""


def table_path(table: str) -> str:
    """Give the path of a table."""
    return f"/tables/{quote(table, safe='')}"


def row_path(table: str, key: str) -> str:
    """Give the path of a row."""
    return f"{table_path(table)}/rows/{_dots(quote(key, safe=''))}"


def _dots(encoded: str) -> str:
    # The segments "." and ".." would be taken for steps in the path.
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def rows_path(table: str, parameters: Sequence[tuple[str, Any]]) -> str:
    """Give the path of a list of rows."""
    return f"{table_path(table)}/rows?{urlencode(parameters)}"


def changes_path(table: str, prefix: str | None) -> str:
    """Give the path of the changes of a table."""
    query = "" if prefix is None else f"?{urlencode({'prefix': prefix})}"
    return f"{table_path(table)}/changes{query}"


def some_keys(keys: Sequence[str], room: int = KEYS_LENGTH) -> Iterator[list[str]]:
    """Split keys into questions in which there is room for their characters, in their order."""
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
