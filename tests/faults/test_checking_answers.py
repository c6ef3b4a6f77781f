"""The checker of answers finds the violations in handmade answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.answers import answer_violations
from tests.faults.history import Answer, History, Written
from tests.faults.plan import SESSION_SECONDS
from tests.faults.versions import Versions

ROWS = {number: {"customer_id": "c1", "name": f"c1 at {number}", "revision": number} for number in (1, 2, 4)}
# c1 appears at 10 s, changes at 20, vanishes at 30, reappears at 40; its records are at offsets 0, 5, 6 and 9.
WRITTEN = [
    Written("t.customers", "c1", row, revision, at - 0.01, at, 0, offset)
    for row, revision, at, offset in [
        (ROWS[1], 1, 10.0, 0),
        (ROWS[2], 2, 20.0, 5),
        (None, 3, 30.0, 6),
        (ROWS[4], 4, 40.0, 9),
    ]
]


def answered(status: int, at: float, body: dict[str, Any] | None = None) -> list[str]:
    history = History(written=WRITTEN)
    history.answers.append(Answer("one", "t.customers", "c1", at, at + 0.01, status, body or {}))
    return [each.what for each in answer_violations(history, "t.customers", Versions("t.customers", WRITTEN, []))]


def row(revision: int, offset: int, position: int, freshness: float = 0.1, state: str = "caught up") -> dict[str, Any]:
    return {
        "row": ROWS[revision],
        "partition": 0,
        "offset": offset,
        "position": position,
        "state": state,
        "freshness_s": freshness,
    }


@pytest.mark.parametrize(
    ("at", "body"),
    [(15.0, row(1, 0, 5)), (25.0, row(2, 5, 6)), (25.0, row(1, 0, 5, freshness=9.0)), (45.0, row(4, 9, 12))],
)
def test_the_row_at_a_position_is_right_if_its_age_is_reported(at: float, body: dict[str, Any]) -> None:
    assert not answered(200, at, body)


def test_a_row_that_does_not_match_its_position_is_found() -> None:
    assert answered(200, 25.0, row(1, 0, 6))
    assert answered(200, 25.0, row(2, 5, 5))


def test_an_earlier_row_is_right_during_a_full_read_if_its_age_is_reported() -> None:
    assert not answered(200, 25.0, row(2, 5, 0, state="recovering"))
    assert answered(200, 25.0, row(2, 6, 0, state="recovering"))
    assert answered(200, 35.0, row(2, 5, 0, freshness=1.0, state="recovering"))
    assert answered(200, 25.0, row(2, 5, 0))
    assert not answered(200, 35.0, row(2, 5, 7, freshness=9.0, state="recovering"))
    assert answered(200, 35.0, row(2, 5, 7, state="recovering"))


def test_a_row_under_another_offset_is_found() -> None:
    assert answered(200, 25.0, row(2, 4, 6))


def test_a_row_deleted_at_its_position_is_found() -> None:
    assert answered(200, 35.0, row(2, 5, 7))


def test_a_row_older_than_reported_is_found() -> None:
    assert answered(200, 25.0, row(1, 0, 5, freshness=1.0))


def test_no_such_key_is_right_while_there_is_none_and_for_a_session_after() -> None:
    assert not answered(404, 5.0)
    assert not answered(404, 35.0)
    assert not answered(404, 40.0 + SESSION_SECONDS)


def test_no_such_key_is_found_if_there_is_one() -> None:
    assert answered(404, 25.0)
    assert answered(404, 41.0 + SESSION_SECONDS)


def test_an_unknown_kind_of_answer_is_found_but_not_an_uncertain_one() -> None:
    assert answered(500, 25.0)
    assert not answered(503, 25.0)
