"""Server-sent events, parsed from the lines of a response. Pure."""

from __future__ import annotations

from typing import NamedTuple

LARGEST_LINE = 32 * 1024 * 1024
"""The limit of a line in bytes, and of the data of an event in characters: more than any row has."""


class ServerSentEvent(NamedTuple):
    """One event: its name, its data, and the id to resume from."""

    name: str
    data: str
    id: str


class EventReader:
    """Parses lines into events, by the rules of the HTML standard."""

    def __init__(self, last_id: str = "") -> None:
        """Start after the event with this id."""
        self._id = last_id
        self._name = ""
        self._data: list[str] = []

    def line(self, line: str) -> ServerSentEvent | None:
        """Take a line without its line end; returns the event that it completes. Raises ValueError if too large."""
        if not line:
            return self._ended()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
            if sum(map(len, self._data)) > LARGEST_LINE:
                message = f"an event of more than {LARGEST_LINE} characters"
                raise ValueError(message)
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _ended(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._name or "message", "\n".join(self._data), self._id) if self._data else None
        self._name, self._data = "", []
        return event
