"""Times as people write them: a point in time, or how long ago. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem

SINCE: Final = "1h"
"""How far a story goes back if nothing else is asked for."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def time_range(since: str | None, until: str | None, now: float) -> tuple[int, int]:
    """Return the times that two texts mean, in ms since 1970; `now` is in seconds. Raise MistakeError for others."""
    begin, end = _moment("since", since or SINCE, now), _moment("until", until or "0s", now)
    if begin >= end:
        found = f"since {since or SINCE} and until {until or 'now'}"
        raise MistakeError(Problem("times", "requires a since that is before until", found, "change one of them"))
    return begin, end


def _moment(name: str, text: str, now: float) -> int:
    if (ago := re.fullmatch(r"([0-9]{1,9})([smhd])", text)) is not None:
        return max(0, int((now - int(ago[1]) * _UNITS[ago[2]]) * 1000))
    try:
        at = datetime.fromisoformat(text)
        return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        requires = "requires how long ago, such as 30s, 90m, 36h or 3d, or a time in ISO 8601"
        do = "write 2026-03-01T12:30, for instance; it is in UTC if it names no time zone"
        raise MistakeError(Problem(name, requires, repr(text), do)) from None
