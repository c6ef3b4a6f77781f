"""How values of records are written, as a person reads them. JSON that is nested very deeply does no harm. Pure."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import msgspec


def shown(value: Any) -> str:
    """Write a value on one line: text as it is, all else as JSON."""
    try:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:
        return "(nested too deeply to be shown)"


def indented(json: bytes) -> str:
    """Write JSON over several lines; numbers keep the digits that their owner wrote.

    As it is where that would make far more text of it than there is.
    """
    if len(json) > _INDENTED or _depth(json) > _DEEPEST:
        return json.decode()
    return msgspec.json.format(json, indent=2).decode()


def _depth(json: bytes) -> int:
    steps = [1 if each in b"[{" else -1 for each in _BRACKETS.findall(_STRINGS.sub(b"", json))]
    return max(accumulate(steps), default=0)


# Bytes that are indented at all, and levels: what is more is not read by people, and each line has two blanks a level.
_INDENTED, _DEEPEST = 256 * 1024, 32
_BRACKETS = re.compile(rb"[\[\]{}]")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')


def top(json: bytes, name: str) -> bytes:
    """Give the text of one member of an object as it stands there."""
    try:
        return bytes(msgspec.json.decode(json, type=dict[str, msgspec.Raw])[name])
    except RecursionError:
        return json
