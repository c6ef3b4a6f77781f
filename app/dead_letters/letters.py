"""Letters and what settles them, as records of `<service>.dead-letters` have them. Pure.

The record that a letter is about is known by its coordinates and its timestamp: a topic that was deleted and created
again has other records at the same coordinates. May not know how records are read or written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from app.errors import MistakeError
from tables.declaring.problems import Problem

if TYPE_CHECKING:
    from tables.declaring.records import Record

Headers = list[tuple[str, bytes | None]]
How = Literal["replayed", "discarded"]

PREFIX: Final = "larder."
REPLAYED: Final = "larder.replayed"
"""On a record that was replayed: the id of its letter."""
SETTLED: Final = "larder.settled"
"""On the record that settles a letter: replayed or discarded."""
REPLAYED_AS: Final = "larder.replayed-as"
"""On the record that settles a letter: where the replayed record lies."""
TIMESTAMP: Final = "larder.timestamp"

# Enough to know a key by, in a list of many.
_SHOWN_KEY = 200


class LetterId(NamedTuple):
    """Where the record that a letter is about lies; as text topic/partition/offset, the letter's message key."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Give it as it is written on a command line and in an address."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Identity(NamedTuple):
    """The record that a letter is about, for certain; timestamp in ms."""

    id: LetterId
    timestamp: int


class Place(NamedTuple):
    """Where a record of the dead letters' own topic lies, and when it was written there (ms)."""

    partition: int
    offset: int
    at: int


class Letter(NamedTuple):
    """A record that could not be handled: `key`, `value` and `headers` as it came, `timestamp` in ms.

    left_out  what of it was too large to be kept; None where it is whole.
    """

    id: LetterId
    service: str
    timestamp: int
    cause: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    left_out: str | None
    place: Place

    @property
    def identity(self) -> Identity:
        """The record that it is about."""
        return Identity(self.id, self.timestamp)

    def summary(self) -> Letter:
        """Give it without what may be large."""
        key = None if self.key is None else self.key[:_SHOWN_KEY]
        return self._replace(key=key, value=None, headers=[])


class Settlement(NamedTuple):
    """That a letter was replayed or discarded, and where the replayed record lies, if any."""

    identity: Identity
    how: How
    replayed_as: str | None
    place: Place


def letter_id(text: str) -> LetterId:
    """Read an id; raises `MistakeError`."""
    found = re.fullmatch(r"([a-zA-Z0-9._-]{1,249})/([0-9]{1,10})/([0-9]{1,19})", text)
    if found is None:
        problem = Problem(
            f"dead letter {text}",
            "requires an id as topic/partition/offset",
            repr(text),
            "see larder dead-letters list",
        )
        raise MistakeError(problem)
    return LetterId(found[1], int(found[2]), int(found[3]))


def read_record(partition: int, record: Record) -> Letter | Settlement | None:
    """Read a record of the dead letters' topic; None for one that is neither a letter nor settles one."""
    ours = {name: value for name, value in record.headers if name.startswith(PREFIX) and value is not None}
    place = Place(partition, record.offset, record.timestamp)
    try:
        about = letter_id((record.key or b"").decode())
        timestamp = int(ours[TIMESTAMP])
    except (MistakeError, ValueError, KeyError):
        return None
    if (how := ours.get(SETTLED)) is not None:
        return _settlement(Identity(about, timestamp), how, ours.get(REPLAYED_AS), place)
    return Letter(
        about,
        text_of(ours.get("larder.service")) or "",
        timestamp,
        text_of(ours.get("larder.cause")) or "",
        ours.get("larder.key"),
        record.value,
        [(name, value) for name, value in record.headers if not name.startswith(PREFIX)],
        text_of(ours.get("larder.left-out")),
        place,
    )


def replayed_headers(letter: Letter) -> Headers:
    """Give the headers that a replayed record has."""
    return [*letter.headers, (REPLAYED, str(letter.id).encode())]


def settling_headers(identity: Identity, how: How, replayed_as: str | None) -> Headers:
    """Give the headers of the record, under the letter's key and without a value, that settles a letter."""
    headers: Headers = [(SETTLED, how.encode()), (TIMESTAMP, str(identity.timestamp).encode())]
    return headers if replayed_as is None else [*headers, (REPLAYED_AS, replayed_as.encode())]


def _settlement(identity: Identity, how: bytes, replayed_as: bytes | None, place: Place) -> Settlement | None:
    if how == b"replayed":
        return Settlement(identity, "replayed", text_of(replayed_as), place)
    return Settlement(identity, "discarded", None, place) if how == b"discarded" else None


def text_of(value: bytes | None) -> str | None:
    """Give bytes as text, in which what is no UTF-8 is escaped."""
    return None if value is None else value.decode(errors="backslashreplace")
