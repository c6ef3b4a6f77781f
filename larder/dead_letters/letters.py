"""Letters, and the records that settle them, in the format of `<service>.dead-letters`. Pure.

Coordinates and timestamp identify the record of a letter: a topic that was deleted and created again has other records
at the same coordinates. Does not know how records are read or written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from larder.config.errors import MistakeError
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import ATTEMPT, CALL_KEY, CAUSED_BY, MADE_FROM, REPLAYED, STEP
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.declaring.records import Record

Headers = list[tuple[str, bytes | None]]
How = Literal["replayed", "republished", "discarded"]
"""A replayed record reaches only the step that wrote its letter; a republished one goes to its topic, for all."""

PREFIX: Final = "larder."
SETTLED: Final = "larder.settled"
"""On the record that settles a letter: replayed, republished or discarded."""
REPLAYED_AS: Final = "larder.replayed-as"
"""On the record that settles a letter: the place of the replayed record."""
TIMESTAMP: Final = "larder.timestamp"

_HOWS: Final[Mapping[bytes, How]] = {each.encode(): each for each in get_args(How)}

_TIMES: Final = range(-(2**63), 2**63)
"""The bounds of a number in a record."""
_ATTEMPTS: Final = range(2**31)

# Enough to recognise a key in a long list.
_SHOWN_KEY = 200


class LetterIdentity(NamedTuple):
    """Identifies the record of a letter, and which letter of that record it is; timestamp in ms.

    step     the step of the service that wrote the letter; None if it was not a step
    attempt  how often the record was replayed to its step before
    """

    id: Coordinates
    timestamp: int
    step: str | None = None
    attempt: int = 0

    @property
    def name(self) -> Name:
        """Its id for people."""
        return Name(self.id, self.step)


class Name(NamedTuple):
    """The id of a letter, and the step that wrote it: each step that could not handle the record wrote a letter."""

    id: Coordinates
    step: str | None = None

    def __str__(self) -> str:
        """Return the name as text for people."""
        return str(self.id) if self.step is None else f"{self.id} of {self.step}"


class LetterPlace(NamedTuple):
    """The place of a record in the dead letters' topic, and when it was written (ms)."""

    partition: int
    offset: int
    at: int


class Letter(NamedTuple):
    """A record that could not be handled, with its original `key`, `value` and `headers`, `timestamp` in ms.

    left_out  the part of the record that was too large to keep; None if the record is complete.
    step      the step of the service that wrote the letter, and gets the record on a replay; None if there is none.
    attempt   how often the record was replayed to its step before.
    made_from the record that it was made from, as topic/partition/offset; None if it does not say.
    call_key  the idempotency key of the call that was given up; None if it was none.
    """

    id: Coordinates
    service: str
    timestamp: int
    cause: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    left_out: str | None
    place: LetterPlace
    step: str | None = None
    attempt: int = 0
    made_from: bytes | None = None
    call_key: bytes | None = None

    @property
    def identity(self) -> LetterIdentity:
        """The record of this letter."""
        return LetterIdentity(self.id, self.timestamp, self.step, self.attempt)

    def summary(self) -> Letter:
        """Return the letter without its value and headers, which may be large."""
        key = None if self.key is None else self.key[:_SHOWN_KEY]
        return self._replace(key=key, value=None, headers=[])


class Settlement(NamedTuple):
    """A letter was replayed or discarded; with the coordinates of the replayed record, if there is one."""

    identity: LetterIdentity
    how: How
    replayed_as: str | None
    place: LetterPlace


def letter_id(text: str) -> Coordinates:
    """Read an id; raises `MistakeError`."""
    if (found := Coordinates.read(text)) is None:
        requires = "requires an id as topic/partition/offset"
        raise MistakeError(Problem(f"dead letter {text}", requires, repr(text), "see larder dead-letters list"))
    return found


def read_record(partition: int, record: Record) -> Letter | Settlement | None:
    """Read a record of the dead letters' topic; None if it is not a letter and does not settle one."""
    ours = {name: value for name, value in record.headers if name.startswith(PREFIX) and value is not None}
    place = LetterPlace(partition, record.offset, record.timestamp)
    try:
        about = Coordinates.read((record.key or b"").decode())
        timestamp, attempt = _number(ours[TIMESTAMP], _TIMES), _number(ours.get(ATTEMPT, b"0"), _ATTEMPTS)
    except (ValueError, KeyError):
        return None
    if about is None:
        return None
    step = text_of(ours.get(STEP))
    if (how := ours.get(SETTLED)) is not None:
        return _settlement(LetterIdentity(about, timestamp, step, attempt), how, ours.get(REPLAYED_AS), place)
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
        step,
        attempt,
        ours.get(MADE_FROM),
        ours.get(CALL_KEY),
    )


def _number(text: bytes, within: range) -> int:
    """Read a number of a letter; raises ValueError, also for a number that JSON cannot hold."""
    if re.fullmatch(rb"-?[0-9]{1,19}", text) is None or (number := int(text)) not in within:
        raise ValueError(text)
    return number


def replayed_headers(letter: Letter) -> Headers:
    """Return the headers of a record that is republished for all readers of its topic."""
    return [*letter.headers, (REPLAYED, str(letter.id).encode())]


def stepped_headers(letter: Letter) -> Headers:
    """Return the headers of a record that is replayed to the step of its letter."""
    step, attempt = (letter.step or "").encode(), str(letter.attempt + 1).encode()
    cause = [] if letter.made_from is None else [(CAUSED_BY, letter.made_from)]
    key = [] if letter.call_key is None else [(CALL_KEY, letter.call_key)]
    return [*replayed_headers(letter), *cause, (STEP, step), (ATTEMPT, attempt), *key]


def settling_headers(identity: LetterIdentity, how: How, replayed_as: str | None) -> Headers:
    """Return the headers of the record that settles a letter."""
    headers: Headers = [(SETTLED, how.encode()), (TIMESTAMP, str(identity.timestamp).encode())]
    if identity.step is not None:
        headers += [(STEP, identity.step.encode()), (ATTEMPT, str(identity.attempt).encode())]
    return headers if replayed_as is None else [*headers, (REPLAYED_AS, replayed_as.encode())]


def _settlement(
    identity: LetterIdentity, how: bytes, replayed_as: bytes | None, place: LetterPlace
) -> Settlement | None:
    if (known := _HOWS.get(how)) is None:
        return None
    return Settlement(identity, known, None if known == "discarded" else text_of(replayed_as), place)


def text_of(value: bytes | None) -> str | None:
    """Return bytes as text, with bytes that are not UTF-8 escaped."""
    return None if value is None else value.decode(errors="backslashreplace")
