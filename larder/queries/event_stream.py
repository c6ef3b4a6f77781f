"""Server-sent events: written as bytes, and parsed from the pieces of a response. Pure."""

from __future__ import annotations

from typing import NamedTuple

LARGEST_EVENT = 32 * 1024 * 1024
"""The limit of a line, and of the data of an event, in bytes: more than any row has."""


class ServerSentEvent(NamedTuple):
    """One event: its name, its data, and the id to resume from."""

    name: str
    data: bytes
    id: str


def framed(event: ServerSentEvent) -> bytes:
    """Return the bytes to send for an event; its data is JSON."""
    # An owner may write the JSON of a row over several lines; a space between tokens means the same.
    lines = event.data.replace(b"\r\n", b" ").replace(b"\n", b" ").replace(b"\r", b" ")
    return f"id: {event.id}\nevent: {event.name}\ndata: ".encode() + lines + b"\n\n"


class EventReader:
    """Parses bytes into events, by the rules of the HTML standard; lines must end with a line feed."""

    def __init__(self, last_id: str = "") -> None:
        """Start after the event with this id."""
        self._rest = bytearray()
        self._id = last_id
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Take the next bytes, cut anywhere; return the events that they complete. Raise ValueError for a huge one."""
        *lines, rest = piece.split(b"\n")
        events = []
        for line in lines:
            whole, self._rest = self._rest + line, bytearray()
            if (event := self._line(bytes(whole).removesuffix(b"\r"))) is not None:
                events.append(event)
        self._rest += rest
        _require_size(len(self._rest))
        return events

    def _line(self, line: bytes) -> ServerSentEvent | None:
        """Take a line without its end; return the event that it completes."""
        if not line:
            return self._ended()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"data":
            self._data.append(value)
            self._size += len(value)
            _require_size(self._size)
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        return None

    def _ended(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._name or "message", b"\n".join(self._data), self._id) if self._data else None
        self._name, self._data, self._size = "", [], 0
        return event


def _require_size(size: int) -> None:
    if size > LARGEST_EVENT:
        message = f"an event of more than {LARGEST_EVENT} bytes"
        raise ValueError(message)
