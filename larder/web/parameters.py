"""The path and the query of a request, read into typed values with bounds.

An unknown parameter is refused: a mistyped one would silently have no effect. An empty one counts as not given, since
forms send it.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING
from urllib.parse import unquote

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

HOP = "Larder-Hop"
"""The header of requests between workers: the receiver answers alone, without other workers."""


class Query:
    """The query of a request with the parameters `known`; raises MistakeError for invalid ones."""

    def __init__(self, request: web.Request, known: Collection[str]) -> None:
        """Refuse unknown parameters."""
        self._query = request.query
        for name in self._query:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                there = ", ".join(known) or "none"
                raise mistake(name, f"requires one of {there}", "none of them", f"use {near[0] if near else 'those'}")

    def has(self, name: str) -> bool:
        """Return whether a parameter is there, even if it is empty."""
        return name in self._query

    def many(self, name: str) -> list[str]:
        """Return the values of a parameter that may be repeated, including empty ones."""
        return self._query.getall(name, [])

    def text(self, name: str) -> str | None:
        """Return the value of a parameter; None if it was not given."""
        texts = self.many(name)
        if len(texts) > 1:
            raise mistake(name, "requires one value", f"{len(texts)}", "give it once")
        return texts[0] or None if texts else None

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a number of seconds, as in `2.5` or `5s`."""
        text = self.text(name)
        if text is None:
            return None
        try:
            number = float(text.removesuffix("s"))
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise mistake(name, f"requires a number of seconds from {low:g} to {high:g}", repr(text), "give one")
        return number

    def whole(self, name: str, usual: int, low: int, high: int) -> int:
        """Return an integer; `usual` if it was not given."""
        text = self.text(name)
        return usual if text is None else _whole(name, text, low, high)

    def wholes(self, name: str, low: int, high: int) -> list[int]:
        """Return integers, each once."""
        return sorted({_whole(name, text, low, high) for text in self.many(name) if text})

    def flag(self, name: str) -> bool:
        """Return whether a parameter that is 1 or 0 is 1."""
        return bool(self.whole(name, 0, 0, 1))


def _whole(name: str, text: str, low: int, high: int) -> int:
    # A text with more digits than any bound is invalid: int() would be slow on a long one.
    if text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high:
        return int(text)
    raise mistake(name, f"requires a whole number from {low} to {high}", repr(text), "give one")


def mistake(name: str, requires: str, found: str, do: str) -> MistakeError:
    """Return an error for a parameter."""
    return MistakeError(Problem(f"parameter {name}", requires, found, do))


def key_of(request: web.Request) -> str:
    """Return the key at the end of the raw path: the router does not decode bytes that are not UTF-8."""
    return _decoded(request.rel_url.raw_parts[-1], "key")


def fields_of(request: web.Request, path: str) -> dict[str, str]:
    """Return the texts in a path under the names that the declared one has in braces."""
    parts = zip(path.split("/")[1:], request.rel_url.raw_parts[1:], strict=True)
    return {name[1:-1]: _decoded(raw, name) for name, raw in parts if name.startswith("{")}


def table_of(request: web.Request) -> str:
    """Return the name of the table in the path."""
    return request.match_info["table"]


def _decoded(raw: str, what: str) -> str:
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        problem = Problem(
            f"{what} {raw}",
            "requires UTF-8, percent-encoded",
            str(error),
            "write it so; bytes are written in base64url",
        )
        raise MistakeError(problem) from error


def is_hop(request: web.Request) -> bool:
    """Return whether the request is from another worker: it is answered here, and never passed on."""
    return HOP in request.headers
