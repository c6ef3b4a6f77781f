"""Outcomes of requests: their statuses, and the first answer that a request gets again."""

from __future__ import annotations

import msgspec
import pytest

from larder.declaring.compiled.requests import ReadRequest
from larder.declaring.counted_requests import KEPT_SECONDS
from larder.declaring.outcomes import OtherValueError, Outcome, counted_as, first_outcome

REQUEST = ReadRequest(key=b"k", event=None, json=b"{}", id=b"id", digest=b"one")
CREATED = Outcome(b'{"item":"ring"}', 1, existed=False, refusal=None)
DELETED = Outcome(None, None, existed=True, refusal=None)
REFUSED = Outcome(b'{"item":"ring"}', 1, existed=True, refusal="too late")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (CREATED, 201),
        (CREATED._replace(existed=True), 200),
        (DELETED, 200),
        (DELETED._replace(existed=False), 200),
        (REFUSED, 409),
        (REFUSED._replace(existed=False), 409),
    ],
)
def test_an_outcome_has_the_status_of_its_answer(outcome: Outcome, status: int) -> None:
    assert (outcome.status, outcome.created) == (status, status == 201)


@pytest.mark.parametrize("outcome", [CREATED, DELETED, REFUSED])
def test_what_is_remembered_is_the_first_answer_until_it_is_forgotten(outcome: Outcome) -> None:
    counted = counted_as(b"id", REQUEST, outcome, now=7.0)
    assert first_outcome(REQUEST, None, now=7.0) is None
    assert first_outcome(REQUEST, counted, now=7.0 + KEPT_SECONDS) == outcome._replace(repeated=True)
    assert first_outcome(REQUEST, counted, now=7.1 + KEPT_SECONDS) is None


def test_another_value_is_refused_while_the_first_is_remembered() -> None:
    counted, other = counted_as(b"id", REQUEST, CREATED, now=7.0), msgspec.structs.replace(REQUEST, digest=b"other")
    with pytest.raises(OtherValueError, match="with another body before"):
        first_outcome(other, counted, now=8.0)
    assert first_outcome(other, counted, now=8.0 + KEPT_SECONDS) is None
