"""What becomes of a call: from its row and an outcome to the next row, to events, or to a dead letter. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

from msgspec.structs import replace

from larder.declaring.calls import Retry, Unknown
from larder.declaring.stored_calls import Beginning, Done, Failed, Order, Outcome, ResultEvent, StoredCall

SKIPPED: Final = "it was skipped by hand"


class Publish(NamedTuple):
    """The call is done: publish its events."""

    events: list[ResultEvent]


class Abandon(NamedTuple):
    """The call is not tried any more: `otherwise` says what to publish, or the event becomes a dead letter.

    `unwanted`: its row did not allow it, so that there is nothing for people to look at.
    """

    reason: str
    unwanted: bool = False


class Park(NamedTuple):
    """The event becomes a dead letter, whatever `otherwise` says: people have to look at it."""

    cause: str


Next: TypeAlias = StoredCall | Publish | Abandon | Park


def begun(call: StoredCall, by: Beginning) -> StoredCall:
    """Return a call whose next attempt begins."""
    return replace(call, attempt=call.attempt + 1, begun=by)


def after(call: StoredCall, outcome: Outcome, retry: Retry, now: float) -> Next | None:
    """Return what follows from an outcome; None if it is too late to count.

    The result of any attempt counts: the other side has done it. A failure counts only for the attempt that is under
    way, and an order of a person only between two attempts.
    """
    match outcome:
        case Done():
            return Park(outcome.unusable) if outcome.unusable else Publish(outcome.events)
        case Failed() if call.begun == outcome.by and call.attempt == outcome.attempt:
            return _failed(call, outcome, retry)
        case Order() if call.begun is None:
            return replace(call, due=now) if outcome.what == "retry" else Abandon(SKIPPED)
    return None


def unknown(call: StoredCall, what: Unknown, retry: Retry, now: float) -> Next:
    """Return what follows when the worker of an attempt is gone, and its outcome has not come."""
    by = "nobody" if call.begun is None else call.begun.worker
    cause = f"the outcome of attempt {call.attempt} is unknown: worker {by}, which began it, did not report one"
    if what == "dead-letter":
        return Park(cause)
    own = call.own + 1
    return Abandon(cause) if own >= retry.attempts else replace(call, begun=None, due=now, own=own, cause=cause)


def is_overdue(call: StoredCall, retry: Retry, now: float) -> bool:
    """Return whether it is too late for another attempt."""
    return now > call.since + retry.within


def overdue(call: StoredCall, retry: Retry, *, unwanted: bool) -> Abandon:
    """Return the end of a call that could not be made in time; `unwanted`: its row does not allow it."""
    if unwanted:
        return Abandon(f"its row did not satisfy only_while within {retry.within:g} s", unwanted=True)
    return Abandon(call.cause or f"it could not begin within {retry.within:g} s")


def pause(call_id: str, retry: Retry, failures: int) -> float:
    """Return the seconds until the next attempt: doubled by each failure, up to half of it left out.

    What is left out depends on the call, so that calls which failed together do not all come again together.
    """
    whole = min(retry.most, retry.first * 2.0 ** min(max(failures, 1) - 1, 60))
    return whole * (1 - crc32(f"{call_id} {failures}".encode()) / 2**33)


def _failed(call: StoredCall, failed: Failed, retry: Retry) -> Next:
    failures, own = call.failures + failed.counts, call.own + (not failed.outage)
    if own >= retry.attempts or is_overdue(call, retry, failed.at):
        return Abandon(failed.cause)
    due = min(failed.at + pause(call.id, retry, failures), call.since + retry.within)
    return replace(call, begun=None, failures=failures, own=own, due=due, cause=failed.cause)
