"""What a request asks for: its path and its query, read into typed values, each with its bounds.

A parameter that nobody knows is refused, since one that is mistyped would silently not count. An empty one is one that
was not given, as a form sends it.
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
"""The header of what one worker asks another: that one answers itself, and asks nobody."""


class Query:
    """The query of a request, whose parameters are `known`; raises MistakeError for what cannot be meant."""

    def __init__(self, request: web.Request, known: Collection[str]) -> None:
        """Refuse parameters of other names."""
        self._query = request.query
        for name in self._query:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                there = ", ".join(known) or "none"
                raise mistake(name, f"requires one of {there}", "none of them", f"use {near[0] if near else 'those'}")

    def has(self, name: str) -> bool:
        """Say whether a parameter is there, be it empty."""
        return name in self._query

    def many(self, name: str) -> list[str]:
        """Give the texts of a parameter that may be repeated, empty ones too."""
        return self._query.getall(name, [])

    def text(self, name: str) -> str | None:
        """Give the text of a parameter; None for one that was not given."""
        texts = self.many(name)
        if len(texts) > 1:
            raise mistake(name, "requires one value", f"{len(texts)}", "give it once")
        return texts[0] or None if texts else None

    def number(self, name: str, low: float, high: float) -> float | None:
        """Give a number of seconds."""
        text = self.text(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise mistake(name, f"requires a number of seconds from {low:g} to {high:g}", repr(text), "give one")
        return number

    def whole(self, name: str, usual: int, low: int, high: int) -> int:
        """Give a whole number; `usual` where it was not given."""
        text = self.text(name)
        return usual if text is None else _whole(name, text, low, high)

    def wholes(self, name: str, low: int, high: int) -> list[int]:
        """Give whole numbers, each once."""
        return sorted({_whole(name, text, low, high) for text in self.many(name) if text})

    def flag(self, name: str) -> bool:
        """Give whether something is asked for: 1 or 0."""
        return bool(self.whole(name, 0, 0, 1))


def _whole(name: str, text: str, low: int, high: int) -> int:
    # More digits than any bound has are no number: int() would take its time with a long text.
    if text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high:
        return int(text)
    raise mistake(name, f"requires a whole number from {low} to {high}", repr(text), "give one")


def mistake(name: str, requires: str, found: str, do: str) -> MistakeError:
    """Say what is wrong with a parameter."""
    return MistakeError(Problem(f"parameter {name}", requires, found, do))


def key_of(request: web.Request) -> str:
    """Give the key that the path ends in; the router leaves bytes that are no UTF-8 percent-encoded, as if meant so."""
    return _decoded(request.rel_url.raw_parts[-1], "key")


def table_of(request: web.Request) -> str:
    """Give the name of the table that the path is about."""
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
    """Say whether another worker asks, which is answered from here and never asked on."""
    return HOP in request.headers
