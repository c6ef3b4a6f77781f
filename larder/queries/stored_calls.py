"""Calls that are not done, from the rows of their table, as people and commands see them. Pure.

The event of a call is not part of it: it may hold what only those should read who open this one call.
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from larder.declaring.compiled.calls import place_codec
from larder.declaring.stored_calls import StoredCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder.declaring.sources import Source
    from larder.queries.lists import ListedRow


class CallState(StrEnum):
    """Where a call stands: it waits for its first attempt, one is under way, or it waits for another one."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"


def state_of(call: StoredCall) -> CallState:
    """Return where a call stands."""
    if call.begun is not None:
        return CallState.RUNNING
    return CallState.RETRYING if call.attempt else CallState.WAITING


def read_call(row: Any) -> StoredCall:
    """Return the call of a row in a list, whose fields may still be JSON."""
    return msgspec.json.decode(msgspec.json.encode(row), type=StoredCall)


def described_call(source: Source, call: StoredCall) -> dict[str, Any]:
    """Describe a call for a list; times are in seconds since 1970.

    `place` is the encoded key of its event, in base64url: what is decided about the call goes to that partition.
    """
    return {
        "id": call.id,
        "state": state_of(call).value,
        "event": str(call.where),
        "event_key": _event_key(source, call.place),
        "place": _base64url(call.place),
        "key": call.key,
        "since": call.since,
        "attempt": call.attempt,
        "failures": call.failures,
        "due": call.due,
        "begun": None if call.begun is None else {"worker": call.begun.worker, "at": call.begun.at},
        "cause": call.cause or None,
    }


def place_of(described: dict[str, Any]) -> bytes:
    """Return the encoded key of the event of a call that was described."""
    text: str = described["place"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def taken(rows: Iterable[ListedRow], limit: int, state: CallState | None) -> tuple[list[StoredCall], bytes | None]:
    """Return up to `limit` calls in a state, and the key of the last row that was looked at."""
    found: list[StoredCall] = []
    last: bytes | None = None
    for row in rows:
        if len(found) == limit:
            break
        last = row.key
        call = read_call(row.fields["row"])
        if state is None or state_of(call) is state:
            found.append(call)
    return found, last


def _event_key(source: Source, place: bytes) -> str:
    """Return the key of an event as text; an earlier version of the service may have had keys of another type."""
    try:
        key = place_codec(source).decode(place)
    except ValueError:
        return place.decode("utf-8", "backslashreplace")
    return _base64url(key) if isinstance(key, bytes) else str(key)


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
