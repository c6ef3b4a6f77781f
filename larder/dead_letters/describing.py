"""Letters as answers have them, for programs and for pages. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from larder.dead_letters.letters import text_of

if TYPE_CHECKING:
    from larder.dead_letters.letters import Letter, Settlement


def described(letter: Letter) -> dict[str, Any]:
    """Tell of a letter as a line of a list does."""
    return {
        "id": str(letter.id),
        "at": moment(letter.place.at),
        "topic": letter.id.topic,
        "partition": letter.id.partition,
        "offset": letter.id.offset,
        "key": text_of(letter.key),
        "step": letter.step,
        "cause": letter.cause,
    }


def described_whole(letter: Letter, settlement: Settlement | None) -> dict[str, Any]:
    """Tell all of a letter: also its value, as JSON where it is that, its headers, and whether it is settled."""
    return {
        **described(letter),
        "service": letter.service,
        "timestamp": letter.timestamp,
        **_value(letter.value),
        "left_out": letter.left_out,
        "headers": [{"name": name, "value": text_of(value)} for name, value in letter.headers],
        "settled": None if settlement is None else settled(settlement),
    }


def settled(settlement: Settlement) -> dict[str, Any]:
    """Tell how and when a letter was settled."""
    return {"how": settlement.how, "at": moment(settlement.place.at), "replayed_as": settlement.replayed_as}


def moment(timestamp: int) -> str:
    """Give a time in ms as ISO 8601 in UTC."""
    try:
        return datetime.fromtimestamp(timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(timestamp)  # any 64 bits may stand there


def _value(value: bytes | None) -> dict[str, Any]:
    """Give a value and how it is shown: `json`, or `text`, in which what is no UTF-8 is escaped."""
    if value is None:
        return {"value": None, "shown_as": None}
    try:
        # Decoded to see that it can be; the bytes themselves are shown, numbers and order of fields as they were.
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {"value": text_of(value), "shown_as": "text"}
    return {"value": msgspec.Raw(value), "shown_as": "json"}
