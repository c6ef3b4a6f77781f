"""The checker of charges finds the violations in handmade histories."""

from __future__ import annotations

import pytest

from tests.faults import charges_judging
from tests.faults.history import Charge
from tests.faults.provider import CHARGED, REFUSED, TIMEOUT_SECONDS, UNAVAILABLE, reply
from tests.faults.test_checking_owned import Log


class Charges(Log):
    """Three invoices of a customer: one is paid at once, one after an outage, one is refused and given up."""

    def __init__(self) -> None:
        super().__init__(charges_judging.violations)
        for serial in (1, 2, 3):
            self.write(serial)
        self.charge(1, 1)
        self.settle(1, 1)
        self.charge(2, 1, UNAVAILABLE)
        self.charge(2, 2)
        self.settle(2, 2)
        self.charge(3, 1, REFUSED)
        self.charge(3, 2, REFUSED)
        self.settle(3, 2, paid=False)

    def write(self, serial: int) -> None:
        self.put("invoices", "a", {"customer": "a", "serial": serial})

    def charge(self, serial: int, attempt: int, status: int = CHARGED, at: float = 10.0, lasts: float = 0.0) -> None:
        self.history.charges.append(Charge(str(serial), attempt, at, at + lasts, status))

    def settle(self, serial: int, attempt: int, *, paid: bool = True) -> None:
        self.put("settled", "a", {"customer": "a", "serial": serial, "attempt": attempt, "paid": paid})


@pytest.fixture
def log() -> Charges:
    return Charges()


def figure(log: Charges) -> str:
    return " ".join(charges_judging.figures(log.case()))


def test_a_right_history_has_no_violations(log: Charges) -> None:
    assert log.kinds() == set()
    assert figure(log) == "5 charges, 2 again, 0 after an answer"


def test_an_invoice_without_a_result_is_found(log: Charges) -> None:
    log.write(4)
    log.charge(4, 1)
    assert log.kinds() == {"lost"}


def test_a_second_result_is_found(log: Charges) -> None:
    log.settle(3, 2, paid=False)
    assert log.kinds() == {"doubled"}


def test_a_result_of_no_invoice_is_found(log: Charges) -> None:
    log.charge(4, 1)
    log.settle(4, 1)
    assert log.kinds() == {"invented"}


def test_a_paid_invoice_that_the_provider_did_not_charge_is_found(log: Charges) -> None:
    log.history.charges = [each for each in log.history.charges if each.key != "1"]
    assert log.kinds() == {"invented"}


def test_an_invoice_that_was_paid_by_an_attempt_that_failed_is_found(log: Charges) -> None:
    log.write(4)
    log.charge(4, 1, UNAVAILABLE)
    log.settle(4, 1)
    assert log.kinds() == {"invented"}


def test_an_invoice_that_was_paid_by_an_attempt_that_was_not_made_is_found(log: Charges) -> None:
    log.write(4)
    log.charge(4, 1)
    log.settle(4, 2)
    assert log.kinds() == {"invented"}


def test_an_invoice_that_is_given_up_without_a_refusal_is_found(log: Charges) -> None:
    log.write(4)
    log.charge(4, 1, UNAVAILABLE)
    log.settle(4, 1, paid=False)
    assert log.kinds() == {"misdecided"}


def test_results_out_of_the_order_of_a_customer_are_found(log: Charges) -> None:
    for serial in (4, 5):
        log.write(serial)
    for serial in (5, 4):
        log.charge(serial, 1)
        log.settle(serial, 1)
    assert log.kinds() == {"reordered"}


def test_an_attempt_that_is_made_twice_is_found(log: Charges) -> None:
    log.history.happened.append((1.0, "fault kill one"))
    log.charge(2, 1)
    assert log.kinds() == {"repeated"}


def test_an_invoice_that_was_written_twice_is_charged_by_two_calls(log: Charges) -> None:
    for status, attempt in ((UNAVAILABLE, 2), (CHARGED, 1)):
        log.write(4)
        log.charge(4, 1, status)
        log.settle(4, attempt)
    log.charge(4, 2)
    assert log.kinds() == set()


def test_a_call_that_is_made_again_for_no_reason_is_found(log: Charges) -> None:
    log.charge(1, 2, at=11.0)
    assert log.kinds() == {"repeated"}
    assert figure(log) == "6 charges, 3 again, 1 after an answer"


def test_a_call_that_is_made_again_after_a_late_answer_is_right(log: Charges) -> None:
    log.write(4)
    log.charge(4, 1, lasts=TIMEOUT_SECONDS)
    log.charge(4, 2)
    log.settle(4, 2)
    assert log.kinds() == set()


def test_a_call_that_is_made_again_after_a_fault_is_counted(log: Charges) -> None:
    log.history.happened.append((10.5, "fault kill one"))
    log.charge(1, 2, at=11.0)
    assert log.kinds() == set()
    assert figure(log).endswith("1 after an answer")


def test_a_dead_letter_is_found(log: Charges) -> None:
    log.put("dead-letters", "a", {}, larder_topic="t.invoices", larder_cause="ValueError")
    assert log.kinds() == {"parked"}


def test_the_provider_gives_every_answer_and_the_same_each_time() -> None:
    replies = {(key, attempt): reply(7, str(key), attempt) for key in range(300) for attempt in (1, 2)}
    assert {each.status for each in replies.values()} == {CHARGED, REFUSED, UNAVAILABLE}
    assert any(each.after > TIMEOUT_SECONDS for each in replies.values())
    assert replies == {place: reply(7, str(place[0]), place[1]) for place in replies}
    refused = {key for (key, _), each in replies.items() if each.status == REFUSED}
    assert all(replies[key, attempt].status == REFUSED for key in refused for attempt in (1, 2))
