"""Refusals of decides as letters: the cause is the reason, the step is the state that would have changed. Pure.

Nothing settles a refusal. It is a result, with its own lists and counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from larder.dead_letters.choosing import says
from larder.dead_letters.describing import moment
from larder.dead_letters.letters import Letter, LetterPlace, text_of
from larder.dead_letters.shelves import LetterKind
from larder.declaring.coordinates import Coordinates
from larder.declaring.decisions import refusals_name

if TYPE_CHECKING:
    from larder.dead_letters.pages import LetterPage
    from larder.dead_letters.tallying import Tally
    from larder.declaring.records import Record


class _Refusal(msgspec.Struct):
    """The fields of a refusal in a list. The event may be large and is left out."""

    id: str
    state: str
    key: str
    reason: str


_read = msgspec.json.Decoder(_Refusal).decode


def read_refusal(partition: int, record: Record) -> Letter | None:
    """Read a record of the topic of refusals; None if it is not a refusal."""
    try:
        refusal = _read(record.value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    place = LetterPlace(partition, record.offset, record.timestamp)
    if (about := Coordinates.read(refusal.id) or _asked(refusal.id, place)) is None:
        return None
    key = refusal.key.encode(errors="backslashreplace")
    return Letter(about, "", record.timestamp, refusal.reason, key, None, [], None, place, refusal.state)


class RequestId(Coordinates):
    """In place of coordinates, which a request has none of: its address and a hash, and where its refusal is."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the address and the hash."""
        return self.topic


_REQUEST: Final = re.compile(r"POST /[A-Za-z0-9_.{}/-]{1,1000} [0-9a-f]{32,64}")


def _asked(id_: str, place: LetterPlace) -> RequestId | None:
    return RequestId(id_, place.partition, place.offset) if _REQUEST.fullmatch(id_) else None


REFUSALS = LetterKind(refusals_name, read_refusal, lambda letter: letter.step or "")


def chosen(state: str | None, reason: str | None, letter: Letter) -> bool:
    """Return whether a refusal has this state, and this text in its reason, as far as given."""
    return (state is None or letter.step == state) and (reason is None or says(letter.cause, reason.casefold()))


def described_refusals(page: LetterPage, counts: Tally | None) -> dict[str, Any]:
    """Return a page of refusals as plain values, and their number by reason, if they were counted."""
    return {
        "refusals": [_described(each) for each in page.letters],
        "next": page.next,
        "beyond": page.beyond,
        "counted": None if counts is None else _counted(counts),
    }


def _described(letter: Letter) -> dict[str, Any]:
    return {
        "id": str(letter.id),
        "at": moment(letter.place.at),
        "state": letter.step,
        "key": text_of(letter.key),
        "reason": letter.cause,
    }


def _counted(counts: Tally) -> dict[str, Any]:
    reasons = [
        {"state": each.subject, "reason": each.cause, "count": each.letters, "samples": list(map(str, each.samples))}
        for each in counts.causes
    ]
    return {"total": counts.total, "reasons": reasons, "whole": counts.whole}
