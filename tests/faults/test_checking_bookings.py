"""The checker of bookings finds the violations in handmade histories."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import bookings_judging
from tests.faults.history import Posted
from tests.faults.test_checking_owned import Log


class Bookings(Log):
    """Ten seats of one show, and one request that was answered."""

    def __init__(self) -> None:
        super().__init__(bookings_judging.violations)
        self.put("additions", "a", {"show": "a", "seats": 10, "serial": 1})
        self.own("shows", "a", {"show": "a", "free": 10, "made_by": 1})
        self.book(100, 3, 7)
        self.post(100, 3, 201, self.seen[-2].value)

    def book(self, serial: int, seats: int, free: int) -> None:
        self.own("shows", "a", {"show": "a", "free": free, "made_by": serial})
        self.put("booked", "a", {"show": "a", "serial": serial, "seats": seats, "free": free})

    def refuse(self, serial: int) -> None:
        self.put("refusals", "a", {"state": "t.shows", "event": {"serial": serial}})

    def post(self, serial: int, seats: int, status: int, row: Any = None, at: float = 11.0, kind: str = "") -> None:
        answer = {"row": row, "revision": row["revision"]} if row else {"type": kind}
        body = {"show": "a", "serial": serial, "seats": seats}
        self.history.posted.append(Posted("one", "/bookings", serial, f"k{serial}", body, at, at + 0.1, status, answer))


@pytest.fixture
def log() -> Bookings:
    return Bookings()


def test_a_right_history_has_no_violations(log: Bookings) -> None:
    log.refuse(101)
    log.post(101, 8, 409)
    log.post(102, 1, 503, kind="urn:larder:unknown")
    log.book(102, 1, 6)
    log.post(102, 1, 200, log.seen[-2].value, at=12.0)
    assert log.kinds() == set()


def test_a_request_that_counts_twice_is_found(log: Bookings) -> None:
    log.book(100, 3, 4)
    assert "doubled" in log.kinds()


def test_a_request_that_is_refused_as_well_is_found(log: Bookings) -> None:
    log.refuse(100)
    assert "doubled" in log.kinds()


def test_an_answer_that_is_not_in_the_log_is_found(log: Bookings) -> None:
    log.post(101, 1, 201, {"show": "a", "free": 6, "made_by": 101, "revision": 3})
    assert log.kinds() == {"lost"}


def test_a_refusal_that_is_not_in_the_log_is_found(log: Bookings) -> None:
    log.post(101, 8, 409)
    assert log.kinds() == {"lost"}


def test_an_answer_with_another_row_is_found(log: Bookings) -> None:
    log.post(100, 3, 201, {**log.history.posted[0].answer["row"], "free": 8})
    assert log.kinds() == {"answer"}


def test_a_row_without_its_event_is_found(log: Bookings) -> None:
    log.drop("booked")
    assert log.kinds() == {"lost"}


def test_a_client_that_never_learned_is_found(log: Bookings) -> None:
    log.post(101, 1, 503, kind="urn:larder:not-here")
    assert log.kinds() == {"silent"}


def test_a_decision_of_which_its_client_was_told_that_nothing_happened_is_found(log: Bookings) -> None:
    log.post(101, 1, 503, kind="urn:larder:not-here")
    log.book(101, 1, 6)
    assert "invented" in log.kinds()


def test_a_row_that_does_not_follow_is_found(log: Bookings) -> None:
    log.book(101, 1, 5)
    log.post(101, 1, 201, log.seen[-2].value)
    assert log.kinds() == {"misdecided"}


def test_an_oversold_show_is_found(log: Bookings) -> None:
    log.book(101, 8, -1)
    log.post(101, 8, 201, log.seen[-2].value)
    assert log.kinds() == {"oversold"}


def test_a_row_of_nobody_is_found(log: Bookings) -> None:
    log.book(101, 1, 6)
    assert "invented" in log.kinds()


def test_a_later_request_with_an_earlier_revision_is_found(log: Bookings) -> None:
    log.book(101, 1, 6)
    log.post(101, 1, 201, log.seen[-2].value, at=5.0)
    assert log.kinds() == {"reordered"}


def test_a_defect_in_an_answer_is_found(log: Bookings) -> None:
    log.post(100, 3, 500)
    assert log.kinds() == {"answer"}
