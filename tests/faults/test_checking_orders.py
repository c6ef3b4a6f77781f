"""The checkers of orders, of their shelves and of their money find the violations in handmade histories."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import orders_judging
from tests.faults.history import Money, Posted
from tests.faults.money_judging import PRICE, WITHIN_SECONDS
from tests.faults.orders_judging import LATE_SECONDS
from tests.faults.provider import CHARGED, REFUSED, UNAVAILABLE, Till
from tests.faults.test_checking_owned import Log


class Orders(Log):
    """Five pieces of an item: order a is confirmed, b lacks pieces, c is cancelled after it was charged."""

    def __init__(self) -> None:
        super().__init__(orders_judging.violations)
        self.levels: list[dict[str, Any]] = []
        self.sales: dict[str, dict[str, Any]] = {}
        self.put("supplies", "i", {"item": "i", "pieces": 5, "serial": 1})
        self.shelf("supply 1", free=5, supplied=5)
        self.place("a", 10, 3)
        self.reserve("a", 2)
        self.charge("a", 3)
        self.pay("a")
        self.move("a", "confirmed")
        self.news("a", "sold", 2)
        self.shelf("a paid", reserved={}, sold=3)
        self.place("b", 11, 3)
        self.news("b", "lacking", 2)
        self.move("b", "rejected")
        self.place("c", 12, 1)
        self.reserve("c", 1)
        self.charge("c", 1)
        self.cancel("c", 13)
        self.shelf("c cancelled", free=2, reserved={})
        self.void("c", 1)

    def move(self, order: str, state: str, made_by: int = -1, at: float = 10.0, **more: Any) -> None:
        before = self.sales.get(order, {"step": 0, "placed_at": at})
        row = {**before, **more, "state": state, "step": before["step"] + 1, "made_by": made_by, "changed_at": at}
        self.sales[order] = row
        self.own("sales", order, row, at)
        self.put("sale-changes", order, {name: row[name] for name in ("order_id", "item", "pieces", "state", "step")})

    def place(self, order: str, serial: int, pieces: int) -> None:
        body = {"order_id": order, "item": "i", "pieces": pieces, "serial": serial}
        self.move(order, "requested", serial, order_id=order, item="i", pieces=pieces)
        self.post("/sales", serial, body, 201, self.row("sales"))

    def cancel(self, order: str, serial: int) -> None:
        self.move(order, "cancelled", serial)
        self.post(f"/sales/{order}/cancel", serial, {"serial": serial}, 200, self.row("sales"))

    def row(self, topic: str) -> Any:
        return [each for each in self.seen if each.topic == f"t.{topic}"][-1].value

    def post(
        self, path: str, serial: int, body: dict[str, Any], status: int, row: Any = None, reason: str = ""
    ) -> None:
        answer = {"row": row, "revision": row["revision"]} if row else {"reason": reason}
        self.history.posted.append(Posted("one", path, serial, f"k{serial}", body, 10.0, 10.1, status, answer))

    def shelf(self, made_by: str, **changed: Any) -> None:
        before = {"item": "i", "free": 0, "reserved": {}, "sold": 0, "supplied": 0}
        self.levels.append({**(self.levels[-1] if self.levels else before), **changed, "made_by": made_by})
        self.own("shelves", "i", self.levels[-1])

    def news(self, order: str, happened: str, free: int) -> None:
        self.put("shelf-news", order, {"order_id": order, "happened": happened, "free": free})

    def reserve(self, order: str, free: int) -> None:
        pieces = self.sales[order]["pieces"]
        self.shelf(f"{order} requested", free=free, reserved={order: pieces})
        self.news(order, "reserved", free)
        self.move(order, "valid")
        self.put("dues", order, {"order_id": order, "amount": PRICE * pieces})

    def charge(self, order: str, pieces: int, attempt: int = 1, status: int = CHARGED) -> None:
        self.history.money.append(
            Money(order, void=False, attempt=attempt, took=PRICE * pieces, sent=10.0, answered=10.0, status=status)
        )

    def void(self, order: str, pieces: int) -> None:
        self.put("voids", order, {"order_id": order})
        self.put("voided", order, {"order_id": order, "attempt": 1})
        self.history.money.append(
            Money(order, void=True, attempt=1, took=-PRICE * pieces, sent=11.0, answered=11.0, status=CHARGED)
        )

    def pay(self, order: str, happened: str = "paid", at: float = 10.0, *, given_up: bool = False) -> None:
        payment = {"order_id": order, "happened": happened, "attempt": 1, "given_up": given_up}
        self.put("payments", order, payment, at)
        self.move(order, "paid" if happened == "paid" else "rejected", at=at)

    def open(self, order: str = "d") -> None:
        """Place and reserve one more order of a piece."""
        self.place(order, 20, 1)
        self.reserve(order, 1)

    def lose(self, order: str = "d") -> None:
        """Free and void what was open and is rejected."""
        self.shelf(f"{order} rejected", free=2, reserved={})
        self.void(order, 0)


@pytest.fixture
def log() -> Orders:
    return Orders()


def test_a_right_history_has_no_violations(log: Orders) -> None:
    assert list(log.judge(log.case())) == []
    assert list(orders_judging.figures(log.case())) == ["orders 1 cancelled, 1 confirmed, 1 rejected, 1 paid back"]


def test_an_order_without_an_end_is_found(log: Orders) -> None:
    log.open()
    assert log.kinds() == {"waits"}


def test_an_illegal_move_is_found(log: Orders) -> None:
    log.move("a", "cancelled", 13)
    assert "misdecided" in log.kinds()


def test_an_order_that_ends_twice_is_found(log: Orders) -> None:
    log.move("b", "rejected")
    assert "misdecided" in log.kinds()


def test_a_move_for_no_reason_is_found(log: Orders) -> None:
    log.place("d", 20, 1)
    log.move("d", "valid")
    assert "invented" in log.kinds()


def test_an_order_that_is_late_is_rejected(log: Orders) -> None:
    log.place("d", 20, 1)
    log.move("d", "rejected", at=10.0 + LATE_SECONDS)
    assert log.kinds() == set()


def test_an_order_that_is_rejected_too_early_is_found(log: Orders) -> None:
    log.place("d", 20, 1)
    log.move("d", "rejected", at=9.9 + LATE_SECONDS)
    assert log.kinds() == {"hasty"}


def test_an_order_that_nobody_placed_is_found(log: Orders) -> None:
    log.move("d", "requested", 99, order_id="d", item="i", pieces=1)
    log.news("d", "lacking", 0)
    log.move("d", "rejected")
    assert log.kinds() == {"invented"}


def test_an_order_other_than_the_one_that_was_placed_is_found(log: Orders) -> None:
    log.place("d", 20, 9)
    log.news("d", "lacking", 2)
    log.history.posted[-1] = log.history.posted[-1]._replace(body={**log.history.posted[-1].body, "pieces": 1})
    log.move("d", "rejected")
    assert log.kinds() == {"misdecided"}


def test_a_change_that_was_not_announced_is_found(log: Orders) -> None:
    log.drop("sale-changes")
    assert log.kinds() == {"lost"}


def test_a_change_that_was_announced_twice_is_found(log: Orders) -> None:
    change = log.row("sale-changes")
    log.put("sale-changes", change["order_id"], change)
    assert log.kinds() == {"doubled"}


def test_news_that_come_twice_are_found(log: Orders) -> None:
    log.news("a", "sold", 2)
    assert log.kinds() == {"doubled"}


def test_an_order_that_is_reserved_and_lacking_is_found(log: Orders) -> None:
    log.news("a", "lacking", 2)
    assert "doubled" in log.kinds()


def test_a_refusal_of_an_event_is_found(log: Orders) -> None:
    log.put("refusals", "x", {"state": "t.shelves", "event": {"order_id": "a"}})
    assert log.kinds() == {"misdecided"}


def test_a_refusal_that_is_not_in_the_log_is_found(log: Orders) -> None:
    log.post("/sales/a/cancel", 21, {"serial": 21}, 409)
    assert log.kinds() == {"lost"}


def test_a_refusal_in_the_log_is_right(log: Orders) -> None:
    log.put("refusals", "a", {"state": "t.sales", "event": {"order_id": "a", "serial": 21}})
    log.post("/sales/a/cancel", 21, {"serial": 21}, 409)
    assert log.kinds() == set()


def test_a_repeat_with_another_answer_is_found(log: Orders) -> None:
    again = log.history.posted[0]
    log.history.posted.append(again._replace(status=200))
    assert log.kinds() == {"answer"}


def test_an_answer_with_a_revision_that_the_topic_does_not_have_is_found(log: Orders) -> None:
    first = log.history.posted[0]
    log.history.posted[0] = first._replace(answer={**first.answer, "revision": 7})
    assert log.kinds() == {"answer"}


def test_pieces_that_are_sold_twice_are_found(log: Orders) -> None:
    log.place("d", 20, 3)
    log.shelf("d requested", free=-1, reserved={"d": 3})
    assert "oversold" in log.kinds()


def test_pieces_that_vanish_are_found(log: Orders) -> None:
    log.open()
    log.pay("d", "unpaid")
    log.charge("d", 0, status=REFUSED)
    log.shelf("d rejected", free=1, reserved={})
    log.void("d", 0)
    assert log.kinds() == {"misdecided", "total"}


def test_pieces_that_stay_reserved_are_found(log: Orders) -> None:
    log.open()
    log.pay("d", "unpaid")
    log.charge("d", 0, status=REFUSED)
    log.void("d", 0)
    assert log.kinds() == {"waits"}


def test_confirmed_pieces_that_were_not_sold_are_found(log: Orders) -> None:
    log.open()
    log.pay("d")
    log.charge("d", 1)
    log.news("d", "sold", 1)
    log.move("d", "confirmed")
    log.shelf("d paid", free=2, reserved={})
    assert log.kinds() == {"misdecided", "total"}


def test_a_supply_that_does_not_count_is_found(log: Orders) -> None:
    log.put("supplies", "i", {"item": "i", "pieces": 5, "serial": 2})
    assert log.kinds() == {"lost"}


def test_a_supply_that_counts_twice_is_found(log: Orders) -> None:
    log.shelf("supply 1", free=7, supplied=10)
    assert log.kinds() == {"doubled"}


def test_a_row_of_a_shelf_without_a_cause_is_found(log: Orders) -> None:
    log.shelf("a rejected")
    assert log.kinds() == {"invented"}


def test_an_order_that_is_refused_although_pieces_are_free_is_found(log: Orders) -> None:
    log.place("d", 20, 2)
    log.news("d", "lacking", 2)
    log.move("d", "rejected")
    assert log.kinds() == {"misdecided"}


def test_a_paid_order_whose_money_is_missing_is_found(log: Orders) -> None:
    log.history.money[0] = log.history.money[0]._replace(took=0)
    assert log.kinds() == {"lost"}


def test_an_order_that_was_charged_twice_is_found(log: Orders) -> None:
    log.charge("a", 3, attempt=2)
    assert log.kinds() == {"waits"}


def test_a_lost_order_whose_money_is_kept_is_found(log: Orders) -> None:
    log.history.money.pop()
    assert log.kinds() == {"waits"}


def test_a_lost_order_that_was_not_voided_is_found(log: Orders) -> None:
    log.drop("voids")
    log.drop("voided")
    assert log.kinds() == {"lost"}


def test_a_void_of_a_confirmed_order_is_found(log: Orders) -> None:
    log.void("a", 0)
    assert log.kinds() == {"invented"}


def test_a_due_that_is_doubled_is_found(log: Orders) -> None:
    log.put("dues", "a", log.row("dues"))
    assert log.kinds() == {"doubled"}


def test_a_charge_of_an_order_that_was_never_valid_is_found(log: Orders) -> None:
    log.charge("b", 0)
    assert log.kinds() == {"invented"}


def test_an_attempt_that_is_made_twice_is_found(log: Orders) -> None:
    log.charge("a", 0)
    assert log.kinds() == {"repeated"}


def test_a_paid_order_that_its_attempt_did_not_charge_is_found(log: Orders) -> None:
    log.history.money[0] = log.history.money[0]._replace(status=UNAVAILABLE)
    assert log.kinds() == {"invented"}


def test_an_order_that_is_unpaid_for_no_reason_is_found(log: Orders) -> None:
    log.open()
    log.pay("d", "unpaid")
    log.lose()
    assert log.kinds() == {"misdecided"}


def test_an_order_that_is_given_up_in_time_is_right(log: Orders) -> None:
    log.open()
    log.pay("d", "unpaid", at=10.0 + WITHIN_SECONDS, given_up=True)
    log.lose()
    assert log.kinds() == set()


def test_an_order_that_is_given_up_too_early_is_found(log: Orders) -> None:
    log.open()
    log.pay("d", "unpaid", at=9.0 + WITHIN_SECONDS, given_up=True)
    log.lose()
    assert log.kinds() == {"hasty"}


def test_a_dead_letter_is_found(log: Orders) -> None:
    log.put("dead-letters", "a", {}, larder_topic="t.payments", larder_cause="ValueError")
    assert log.kinds() == {"parked"}


def test_the_provider_keeps_the_money_of_a_key_once_and_gives_it_back() -> None:
    till = Till()
    assert (till.charge("a", 300), till.charge("a", 300)) == (300, 0)
    assert (till.give_back("a"), till.give_back("a")) == (-300, 0)
    assert till.void == {"a"}
