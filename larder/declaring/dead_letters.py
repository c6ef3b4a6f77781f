"""Makes dead letters: the record as it was, and where and why it failed.

The names of their headers are defined only here. Pure; other modules send the letters.
"""

from typing import Final, NamedTuple

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.records import Record

_PREFIX: Final = "larder."
_KEY: Final = "larder.key"
CAUSED_BY: Final = "larder.cause"
"""On a letter: why it failed. On any other record: what it was made from, if it has a trace."""
STEP: Final = "larder.step"
"""The step of the service that dead-lettered the record, and that processes it if it is replayed."""
MADE_FROM: Final = "larder.made-from"
"""The header `larder.cause` of the record, which has another meaning on a letter."""
REPLAYED: Final = "larder.replayed"
"""On a replayed record: the coordinates of the original, as topic/partition/offset."""
ATTEMPT: Final = "larder.attempt"
"""How many times the record was replayed to its step before; absent if never."""
CALL_KEY: Final = "larder.call-key"
"""The idempotency key of a call that was given up: replayed, it has the same one."""
_KEPT: Final = frozenset({ATTEMPT, CALL_KEY})
MOVED: Final = 2**48
"""The first offset of replayed records of other topics, which the service has read in an earlier generation.

An offset there may belong to another record of the input by now, so a step gets such a record with this offset plus its
offset in the topic of replays. No topic has so many records, and JSON keeps such numbers exactly.
"""
# The most characters of a cause that are kept; a cause may quote text of users.
_CAUSE: Final = 4_000
# The most bytes that the record batch format adds to a header.
_HEADER_OVERHEAD: Final = 10


class DeadLetterRecord(NamedTuple):
    """A record for `<service>.dead-letters`.

    key      topic/partition/offset of the original, so that writing it twice has the same effect as once.
    value    the original's, unchanged; None if it had none.
    headers  the original's, then larder.service, larder.topic, larder.partition, larder.offset,
             larder.timestamp (ms) and larder.cause, all as text; larder.step, if a step of the service wrote
             the letter; larder.attempt, if the record was replayed to that step before; larder.call-key, if
             the letter is of a call; larder.made-from, if the record says what it was made from; and larder.key,
             the original's bytes, if it had a key.
    """

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def dead_letter(  # noqa: PLR0913, PLR0917 - where it is, and what is wrong with it
    service: str, topic: str, partition: int, record: Record, cause: str, step: str = ""
) -> DeadLetterRecord:
    """Make the dead letter of a record; `cause` is text for people, and `step` writes the letter."""
    at = origin(topic, partition, record)
    ours = {
        "larder.service": service,
        "larder.topic": at.topic,
        "larder.partition": str(at.partition),
        "larder.offset": str(at.offset),
        "larder.timestamp": str(record.timestamp),
        CAUSED_BY: cause if len(cause) <= _CAUSE else f"{cause[:_CAUSE]}...",
    }
    # A record of an internal topic already has some of these headers, with less information.
    headers = [(name, value) for name, value in record.headers or () if not name.startswith(_PREFIX)]
    if step:
        ours[STEP] = step
        headers += [(name, value) for name, value in record.headers or () if name in _KEPT]
    headers += [(MADE_FROM, value) for name, value in record.headers or () if name == CAUSED_BY]
    # A cause may quote invalid text.
    headers += [(name, text.encode(errors="backslashreplace")) for name, text in ours.items()]
    if record.key is not None:
        headers.append((_KEY, record.key))
    return DeadLetterRecord(str(at).encode(), record.value, headers)


def origin(topic: str, partition: int, record: Record) -> Coordinates:
    """Return the coordinates of a record; those before its service was scaled, if it was replayed from there."""
    before = replayed_from(record) if record.offset >= MOVED else None
    return before or Coordinates(topic, partition, record.offset)


def replayed_from(record: Record) -> Coordinates | None:
    """Return the coordinates that a replayed record names as those of its original; None if it names none."""
    return Coordinates.read((dict(record.headers or ()).get(REPLAYED) or b"").decode(errors="replace"))


def settling_id(service: str) -> str:
    """Return the transactional id with which the letters of a service are settled; ids of workers have no slash."""
    return f"{service}/dead-letters"


def cause_of(error: Exception) -> str:
    """Explain to the owner of a record why it could not be read."""
    if isinstance(error, msgspec.ValidationError):
        return f"the value requires the fields of its declared type; found: {error}"
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"the value requires JSON; found: {error}"
    return str(error)


def fitting(letter: DeadLetterRecord, largest: int) -> DeadLetterRecord:
    """Shrink a letter to at most `largest` bytes.

    Leave out the value first, then the original's headers and key. The header `larder.left-out` lists what is
    missing; the original is still at its coordinates.
    """
    if _size(letter) <= largest:
        return letter
    left = f"the value, of {len(letter.value or b'')} bytes"
    smaller = _without(letter, letter.headers, left)
    if _size(smaller) <= largest:
        return smaller
    ours = [(name, value) for name, value in letter.headers if name.startswith(_PREFIX) and name != _KEY]
    return _without(letter, ours, f"{left}, the key and the headers")


def _without(letter: DeadLetterRecord, headers: list[tuple[str, bytes | None]], left: str) -> DeadLetterRecord:
    return DeadLetterRecord(letter.key, None, [*headers, ("larder.left-out", left.encode())])


def _size(letter: DeadLetterRecord) -> int:
    headers = sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD for name, value in letter.headers)
    return len(letter.key) + len(letter.value or b"") + headers
