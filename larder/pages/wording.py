"""How numbers, times and names are written on pages: the same everywhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from larder.declaring.plurals import plural

NOTHING = "–"  # noqa: RUF001 - in place of a missing figure

# How many names a sentence lists before "and 3 more".
_LISTED = 8
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
# From this number on, a timestamp must be in milliseconds: in seconds it would be in the year 5138.
_MILLISECONDS = 100_000_000_000
_MOMENT = "%Y-%m-%d %H:%M:%S UTC"
# Segments that a browser removes from an address, however they are written, and the empty one.
_NO_SEGMENTS = frozenset({"", ".", ".."})


def number(value: float | None) -> str:
    """Write a count or a rate with separated thousands; small rates keep a decimal."""
    if value is None:
        return NOTHING
    if isinstance(value, float) and abs(value) < 10 and value != int(value):  # noqa: PLR2004 - two digits are enough
        return f"{value:.1f}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Write a duration in one or two units of its size: 40 ms, 1.4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - two digits are enough
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for large, large_name, small, small_name in (
        (_MINUTE, "min", 1, "s"),
        (_HOUR, "h", _MINUTE, "min"),
        (_DAY, "d", _HOUR, "h"),
    ):
        count, rest = divmod(whole, large)
        if large is _DAY or whole < large * (_MINUTE if large < _HOUR else 24):
            return f"{count} {large_name}" + (f" {rest // small} {small_name}" if rest // small else "")
    raise AssertionError  # days have no upper end


def size(count: float | None) -> str:
    """Write bytes in units of a thousand."""
    if count is None:
        return NOTHING
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - kB, MB, GB
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 or count >= 10 else f"{count:.1f} {_UNITS[unit]}"  # noqa: PLR2004


_UNITS = ("B", "kB", "MB", "GB", "TB")


def share(part: float, whole: float) -> str:
    """Write a percentage that is 100 only for all, and 0 only for none."""
    if not whole:
        return NOTHING
    percent = 100 * part / whole
    if part and percent < 0.1:  # noqa: PLR2004
        return "< 0.1 %"
    if part != whole and percent > 99.9:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.1f} %"


def moment(value: float | str | None) -> str:
    """Write a point in time in UTC, given in seconds or milliseconds since 1970, or in ISO 8601."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).astimezone(UTC).strftime(_MOMENT)
        except (OverflowError, ValueError):
            return value
    seconds = value / 1000 if abs(value) > _MILLISECONDS else value
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_MOMENT)
    except (OverflowError, OSError, ValueError):  # a foreign record may have any timestamp
        return str(value)


def several(many: Sized | int, one: str, more: str = "") -> str:
    """Return the singular or the plural of a word."""
    count = many if isinstance(many, int) else len(many)
    return plural(count, one, more)


def listed(names: Sequence[Any]) -> str:
    """Write a list for a sentence; runs of numbers become ranges, and a long list is cut."""
    parts = _ranges(names) if all(isinstance(name, int) for name in names) else [str(name) for name in names]
    rest = len(parts) - _LISTED
    return ", ".join(parts[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _ranges(numbers: Sequence[int]) -> list[str]:
    runs: list[list[int]] = []
    for each in sorted(numbers):
        if runs and each == runs[-1][-1] + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    long = 2
    return [text for run in runs for text in ([f"{run[0]}-{run[-1]}"] if len(run) > long else [str(n) for n in run])]


def word(phase: str) -> str:
    """Write a state as in answers and messages."""
    return phase.replace("_", " ")


def table_address(table: str) -> str:
    """Return the address of a table."""
    return f"/tables/{quote(table, safe='')}"


def row_address(table: str, key: str) -> str:
    """Return the address of a row; if no path can have its key, that of a list with only this row."""
    if key in _NO_SEGMENTS:
        return f"{table_address(table)}/rows?key={quote(key, safe='')}"
    return f"{table_address(table)}/rows/{quote(key, safe='')}"


def letter_address(letter: str) -> str:
    """Return the address of a dead letter, whose id is topic/partition/offset."""
    return f"/dead-letters/{quote(letter)}"


def call_address(call: str, stored: str = "") -> str:
    """Return the address of the calls of one declaration, or of one of them, by its id topic/partition/offset."""
    return f"/calls/{quote(call, safe='')}" + (f"/{quote(stored)}" if stored else "")


def web_address(web: str | None) -> str | None:
    """Return the address of another worker as a link; None if it is not a web address."""
    if not web:
        return None
    address = web if "://" in web else f"http://{web}"
    return address.rstrip("/") + "/" if address.startswith(("http://", "https://")) else None
