"""Formats values of records for people, even deeply nested JSON. Pure."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import msgspec


def shown(value: Any) -> str:
    """Format a value on one line: text as it is, anything else as JSON."""
    try:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:
        return "(nested too deeply to show)"


def indented(json: bytes) -> str:
    """Format JSON over several lines, with the digits of numbers as their owner wrote them.

    Unchanged if formatting would make it far longer.
    """
    if len(json) > _INDENTED or _depth(json) > _DEEPEST:
        return json.decode()
    return msgspec.json.format(json, indent=2).decode()


def _depth(json: bytes) -> int:
    steps = [1 if each in b"[{" else -1 for each in _BRACKETS.findall(_STRINGS.sub(b"", json))]
    return max(accumulate(steps), default=0)


# The limits of bytes and levels to indent: nobody reads more, and each level costs two spaces a line.
_INDENTED, _DEEPEST = 256 * 1024, 32
_BRACKETS = re.compile(rb"[\[\]{}]")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')


def top(json: bytes, name: str) -> bytes:
    """Return the text of one member of an object, unchanged."""
    try:
        return bytes(msgspec.json.decode(json, type=dict[str, msgspec.Raw])[name])
    except RecursionError:
        return json
