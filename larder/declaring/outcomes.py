"""Outcomes of requests: what a client is told, and what is remembered of it. Pure.

Workers and runs in memory share these rules. They know HTTP only by the statuses of answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec

from larder.declaring.counted_requests import NO_ROW, CountedRequest, is_forgotten
from larder.declaring.problems import LarderError

if TYPE_CHECKING:
    from larder.declaring.compiled.requests import ReadRequest

REFUSED: Final = HTTPStatus.CONFLICT.value
"""The status of an answer with the reason of a refusal."""


class RequestFailedError(LarderError):
    """A request has no outcome; `status` is that of the answer."""

    status: ClassVar[int] = HTTPStatus.SERVICE_UNAVAILABLE.value


class OtherValueError(RequestFailedError):
    """The `Idempotency-Key` came with another value before; nothing has happened."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY.value


class ConditionFailedError(RequestFailedError):
    """The row is not the one that the client has seen; nothing has happened."""

    status = HTTPStatus.PRECONDITION_FAILED.value


class NotDecidableError(RequestFailedError):
    """The function raised an error, or returned what cannot be written; nothing has happened."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR.value


class Outcome(NamedTuple):
    """A committed decision: the row as it was then (None if there is none), and why the request was refused, if it was.

    existed   there was a row before.
    repeated  it was decided before, and this is its first answer.
    end       the offset before which the decision is in the topic of the state; None if it is not known.
    """

    row: bytes | None
    revision: int | None
    existed: bool
    refusal: str | None
    repeated: bool = False
    end: int | None = None

    @property
    def created(self) -> bool:
        """Whether there is a row now, and was none before."""
        return self.refusal is None and self.row is not None and not self.existed

    @property
    def status(self) -> int:
        """The status of its answer."""
        if self.refusal is not None:
            return REFUSED
        return HTTPStatus.CREATED.value if self.created else HTTPStatus.OK.value


class RowCondition(NamedTuple):
    """What a row must be like for a request: there or not, and of this revision, unless it is None."""

    exists: bool
    revision: int | None = None

    def check(self, revision: int | None, *, exists: bool) -> None:
        """Raise ConditionFailedError if a row is not like that."""
        if exists != self.exists or (self.revision is not None and revision != self.revision):
            shown = f"one of revision {revision}" if exists else "no row"
            raise ConditionFailedError(shown)


def first_outcome(request: ReadRequest, counted: CountedRequest | None, now: float) -> Outcome | None:
    """Return the first answer of a request that has counted; None if it has not, or is forgotten.

    `counted` is what is remembered under its id, `now` in seconds since 1970. Raise OtherValueError if that had
    another value.
    """
    if counted is None or is_forgotten(counted, now):
        return None
    if counted.digest != request.digest:
        message = "the header Idempotency-Key came with another body before"
        raise OtherValueError(message)
    row = None if counted.row == NO_ROW else bytes(counted.row)
    return Outcome(row, counted.revision, counted.existed, counted.refusal, repeated=True)


def counted_as(id_: bytes, request: ReadRequest, outcome: Outcome, now: float) -> CountedRequest:
    """Return what is remembered of a request that was decided `now`."""
    return CountedRequest(
        id=id_,
        place=request.key,
        digest=request.digest,
        at=now,
        row=NO_ROW if outcome.row is None else msgspec.Raw(outcome.row),
        revision=outcome.revision,
        existed=outcome.existed,
        refusal=outcome.refusal,
    )
