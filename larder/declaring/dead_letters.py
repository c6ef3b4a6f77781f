"""What a dead letter is made of: the record as it was, and where and why it failed.

The names of the headers are written here and nowhere else. Pure; sending it is done
elsewhere.
"""

from typing import Final, NamedTuple

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.records import Record

_PREFIX: Final = "larder."
_KEY: Final = "larder.key"
STEP: Final = "larder.step"
"""Which step of the service parked the record, and is to process it when it is replayed."""
REPLAYED: Final = "larder.replayed"
"""On a record that was replayed: where the record lies that its letter is about, as topic/partition/offset."""
ATTEMPT: Final = "larder.attempt"
"""How often the record was replayed to its step before: none where it was not."""
# A cause may quote what somebody else wrote; so many characters of it are kept.
_CAUSE: Final = 4_000
# Upper bound of what the record batch format adds to one header.
_HEADER_OVERHEAD: Final = 10


class DeadLetterRecord(NamedTuple):
    """A record for `<service>.dead-letters`.

    key      topic/partition/offset of the original, so that parking it twice is the
             same as once.
    value    that of the original, unchanged; None when it had none.
    headers  those of the original, then larder.service, larder.topic,
             larder.partition, larder.offset, larder.timestamp (ms), larder.cause, all
             of them text; larder.step, if a step of the service parked it; larder.attempt,
             if it was replayed to that before; and larder.key, the original's bytes, if it
             had a key.
    """

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def dead_letter(  # noqa: PLR0913, PLR0917 - where it lies, and what is wrong with it
    service: str, topic: str, partition: int, record: Record, cause: str, step: str = ""
) -> DeadLetterRecord:
    """Make the dead letter of a record; `cause` is for a person to read, `step` is what parked it."""
    told = {
        "larder.service": service,
        "larder.topic": topic,
        "larder.partition": str(partition),
        "larder.offset": str(record.offset),
        "larder.timestamp": str(record.timestamp),
        "larder.cause": cause if len(cause) <= _CAUSE else f"{cause[:_CAUSE]}...",
    }
    # A record of an internal topic comes with headers of ours, which say less.
    headers = [(name, value) for name, value in record.headers or () if not name.startswith(_PREFIX)]
    if step:
        told[STEP] = step
        headers += [(name, value) for name, value in record.headers or () if name == ATTEMPT]
    # A cause may quote what is no proper text; that must not keep it from being told.
    headers += [(name, text.encode(errors="backslashreplace")) for name, text in told.items()]
    if record.key is not None:
        headers.append((_KEY, record.key))
    return DeadLetterRecord(str(Coordinates(topic, partition, record.offset)).encode(), record.value, headers)


def cause_of(error: Exception) -> str:
    """Say what is wrong with a record, in words for its owner, from what reading it raised."""
    if isinstance(error, msgspec.ValidationError):
        return f"the value requires the fields of its declared type; found: {error}"
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return f"the value requires JSON; found: {error}"
    return str(error)


def fitting(letter: DeadLetterRecord, largest: int) -> DeadLetterRecord:
    """Give the letter in at most `largest` bytes, without what is too large for that.

    That is the value first, then the headers and the key that the record came with.
    `larder.left-out` says what; the record itself is still where its coordinates say.
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
