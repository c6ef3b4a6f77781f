"""Letters as plain values, for programs and for pages. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from larder.dead_letters.letters import text_of

if TYPE_CHECKING:
    from larder.dead_letters.letters import Letter, Settlement


def described(letter: Letter) -> dict[str, Any]:
    """Describe a letter for a line of a list."""
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
    """Describe all of a letter: also its value, as JSON if it is JSON, its headers, and how it was settled."""
    return {
        **described(letter),
        "service": letter.service,
        "timestamp": letter.timestamp,
        **described_value(letter.value),
        "left_out": letter.left_out,
        "headers": [{"name": name, "value": text_of(value)} for name, value in letter.headers],
        "settled": None if settlement is None else settled(settlement),
    }


def settled(settlement: Settlement) -> dict[str, Any]:
    """Describe how and when a letter was settled."""
    return {"how": settlement.how, "at": moment(settlement.place.at), "replayed_as": settlement.replayed_as}


def moment(timestamp: int) -> str:
    """Return a time in ms as ISO 8601 in UTC."""
    try:
        return datetime.fromtimestamp(timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(timestamp)  # the time of a record can be any 64 bits


def described_value(value: bytes | None) -> dict[str, Any]:
    """Return a value and its format: `json`, or `text`, in which bytes that are not UTF-8 are escaped."""
    if value is None:
        return {"value": None, "shown_as": None}
    try:
        # Decoded only to check that it is JSON. The bytes are shown unchanged, with their numbers and order of fields.
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {"value": text_of(value), "shown_as": "text"}
    return {"value": msgspec.Raw(value), "shown_as": "json"}
