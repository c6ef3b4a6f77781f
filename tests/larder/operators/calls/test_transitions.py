"""What follows when the worker of an attempt is gone, and nobody knows whether the other side has done its work."""

from __future__ import annotations

from larder import Retry
from larder.declaring.stored_calls import Beginning, StoredCall
from larder.operators.calls.transitions import Abandon, Park, begun, unknown

RETRY = Retry(attempts=2)
CAUSE = "the outcome of attempt 1 is unknown: worker one, which began it, did not report one"


def begun_call(own: int = 0) -> StoredCall:
    """Return a call whose first attempt the worker `one` began; `own` of its failures are its own."""
    call = StoredCall(
        id="t/0/7", place=b"k", number=1, topic="t", partition=0, offset=7, timestamp=0, message_key=None, value=b"{}",
        headers=[], key="k", since=0.0, due=0.0, own=own,
    )  # fmt: skip
    return begun(call, Beginning("one", "run", 1.0))


def test_a_call_with_an_unknown_outcome_is_made_again_at_once() -> None:
    following = unknown(begun_call(), "retry", RETRY, now=20.0)
    assert isinstance(following, StoredCall)
    assert (following.begun, following.due, following.own, following.cause) == (None, 20.0, 1, CAUSE)
    assert (following.key, following.attempt) == ("k", 1)


def test_a_call_whose_outcome_is_unknown_too_often_is_given_up() -> None:
    assert unknown(begun_call(own=1), "retry", RETRY, now=20.0) == Abandon(CAUSE)


def test_a_person_decides_about_an_unknown_outcome_if_the_declaration_says_so() -> None:
    for own in (0, 1):
        assert unknown(begun_call(own), "dead-letter", RETRY, now=20.0) == Park(CAUSE)
