"""The checkers of owned tables find the violations in handmade histories: chains, a stock, accounts, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults import accounts_judging, labels_judging, stock_judging
from tests.faults.history import Era, History, Seen, Violation, Written
from tests.faults.parts import Case
from tests.faults.plan import planned

PLAN = replace(planned(0), missing=("DeadLetter", "Wait(seconds=60).then(DeadLetter)"))


class Log:
    """The records that a reader has read. Owned rows get a correct chain, until a test breaks it."""

    def __init__(self, judge: Callable[[Case], Iterable[Violation]]) -> None:
        self.judge = judge
        self.history = History(eras=[Era(7, 0.5, "one")])
        self.seen: list[Seen] = []
        self.revisions: dict[tuple[str, str], int] = {}

    def put(self, topic: str, key: str, value: Any, at: float = 10.0, **headers: str) -> None:
        offset = sum(record.topic == f"t.{topic}" for record in self.seen)
        names = {name.replace("_", "-").replace("larder-", "larder."): text for name, text in headers.items()}
        self.seen.append(Seen(f"t.{topic}", 0, offset, key, value, at, names, at + 0.1))

    def own(self, topic: str, key: str, row: dict[str, Any], at: float = 10.0, **headers: str) -> None:
        """Add a row of the service; headers as in larder_generation="5"."""
        before = self.revisions.get((topic, key))
        revision = self.revisions[topic, key] = (before or 0) + 1
        chain = {} if before is None else {"larder_based_on": str(before)}
        self.put(topic, key, {**row, "revision": revision}, at, **{"larder_generation": "3", **chain, **headers})

    def follow(self, topic: str, key: str, row: dict[str, Any] | None, revision: int, at: float) -> None:
        """Add a row of another owner."""
        offset = sum(record.topic == f"t.{topic}" for record in self.seen)
        self.put(topic, key, row, at, **({} if row else {"larder_revision": str(revision)}))
        self.history.written.append(Written(f"t.{topic}", key, row, revision, at - 0.01, at, 0, offset))

    def drop(self, topic: str) -> None:
        self.seen.remove([record for record in self.seen if record.topic == f"t.{topic}"][-1])

    def case(self) -> Case:
        return Case(PLAN, "t", self.history, self.seen)

    def kinds(self) -> set[str]:
        return {each.kind for each in self.judge(self.case())}


def stock() -> Log:
    """Ten pieces of s1 are delivered; one is sold, two are held and given back, twenty are refused."""
    log = Log(stock_judging.violations)
    log.put("deliveries", "s1", {"product_id": "s1", "pieces": 10, "serial": 0})
    for serial, pieces, until in ((1, 1, 0.0), (2, 2, 12.0), (3, 20, 0.0)):
        request = {"request_id": f"r{serial}", "product_id": "s1", "pieces": pieces, "serial": serial, "until": until}
        log.put("requests", f"r{serial}", request)
        log.put("t.requests.by.product_id", f"r{serial}", request)
    level(log, 10, 0)
    level(log, 9, 1)
    log.put("reserved", "r1", {"product_id": "s1", "pieces": 1, "serial": 1})
    level(log, 7, 2, {"2 2 2": 12.0})
    log.put("reserved", "r2", {"product_id": "s1", "pieces": 2, "serial": 2})
    refuse(log, 3, 20, 7)
    level(log, 9, -1, at=12.1)
    log.put("given-back", "s1", {"product_id": "s1", "pieces": 2, "serial": 2})
    return log


def level(log: Log, left: int, made_by: int, held: dict[str, float] | None = None, at: float = 10.0) -> None:
    log.own("levels", "s1", {"product_id": "s1", "left": left, "made_by": made_by, "held": held or {}}, at)


def refuse(log: Log, serial: int, pieces: int, left: int) -> None:
    event = {"product_id": "s1", "pieces": pieces, "serial": serial}
    refusal = {"id": f"x/0/{serial}", "state": "t.levels", "key": "s1", "reason": f"{left} left", "event": event}
    log.put("refusals", "s1", refusal)


def request(log: Log, serial: int, pieces: int) -> None:
    event = {"request_id": f"r{serial}", "product_id": "s1", "pieces": pieces, "serial": serial, "until": 0.0}
    log.put("requests", f"r{serial}", event)
    log.put("t.requests.by.product_id", f"r{serial}", event)


def test_a_correct_stock_has_no_violations() -> None:
    assert stock().kinds() == set()


def test_a_row_not_based_on_the_previous_one_breaks_the_chain() -> None:
    log = stock()
    log.seen = [record for record in log.seen if record.topic != "t.levels" or record.offset != 1]
    assert "chain" in log.kinds()


def test_a_revision_that_does_not_increase_is_falling() -> None:
    log = stock()
    log.put("deliveries", "s1", {"product_id": "s1", "pieces": 1, "serial": 4})
    row = {"product_id": "s1", "left": 10, "made_by": 4, "held": {}, "revision": 4}
    log.put("levels", "s1", row, larder_generation="3", larder_based_on="4")
    assert log.kinds() == {"falling"}


def test_a_writer_of_an_older_generation_is_found() -> None:
    log = stock()
    log.put("deliveries", "s1", {"product_id": "s1", "pieces": 1, "serial": 4})
    log.own("levels", "s1", {"product_id": "s1", "left": 10, "made_by": 4, "held": {}}, larder_generation="2")
    assert log.kinds() == {"generation"}


def test_a_request_without_a_row_or_refusal_is_lost() -> None:
    log = stock()
    request(log, 4, 1)
    assert log.kinds() == {"lost"}


def test_a_request_with_two_rows_is_doubled() -> None:
    log = stock()
    level(log, 8, 1)
    log.put("reserved", "r1", {"product_id": "s1", "pieces": 1, "serial": 1})
    assert "doubled" in log.kinds()


def test_a_reservation_without_its_row_is_doubled_and_the_total_is_wrong() -> None:
    log = stock()
    log.put("reserved", "r1", {"product_id": "s1", "pieces": 1, "serial": 1})
    assert log.kinds() == {"doubled", "total"}


def test_a_row_without_its_reservation_is_lost_and_the_total_is_wrong() -> None:
    log = stock()
    log.drop("reserved")
    assert log.kinds() == {"lost", "total"}


def test_more_pieces_than_available_are_oversold() -> None:
    log = stock()
    request(log, 4, 10)
    level(log, -1, 4)
    log.put("reserved", "r4", {"product_id": "s1", "pieces": 10, "serial": 4})
    assert log.kinds() == {"oversold"}


def test_a_row_that_does_not_follow_from_its_event_is_misdecided() -> None:
    log = stock()
    request(log, 4, 1)
    level(log, 9, 4)
    log.put("reserved", "r4", {"product_id": "s1", "pieces": 1, "serial": 4})
    assert log.kinds() == {"misdecided", "total"}


def test_a_request_refused_although_there_is_enough_is_misdecided() -> None:
    log = stock()
    request(log, 4, 5)
    refuse(log, 4, 5, 9)
    assert log.kinds() == {"misdecided"}


def test_a_refusal_with_an_outdated_level_is_misdecided() -> None:
    log = stock()
    request(log, 4, 5)
    refuse(log, 4, 5, 0)
    assert log.kinds() == {"misdecided"}


def test_pieces_given_back_too_early_are_hasty() -> None:
    log = stock()
    log.seen = [record._replace(appended=11.0) if record.offset == 3 else record for record in log.seen]
    assert log.kinds() == {"hasty"}


def test_a_repeated_wake_up_is_doubled() -> None:
    log = stock()
    level(log, 9, -1, at=12.2)
    assert log.kinds() == {"doubled"}


def test_pieces_never_given_back_are_waiting() -> None:
    log = stock()
    log.drop("levels")
    log.drop("given-back")
    assert log.kinds() == {"waits"}


def accounts() -> Log:
    """a1 and a2 have ten each; three are transferred, and thirty are refused."""
    log = Log(accounts_judging.violations)
    for serial, account in ((0, "a1"), (1, "a2")):
        log.put("openings", account, {"account": account, "amount": 10, "serial": serial})
        book(log, account, 10, "opened", serial)
    for serial, amount in ((2, 3), (3, 30)):
        log.put("transfers", f"t{serial}", {"source": "a1", "target": "a2", "amount": amount, "serial": serial})
    book(log, "a1", 7, "debited", 2)
    log.put("credits", "a2", {"account": "a2", "amount": 3, "serial": 2})
    book(log, "a2", 13, "credited", 2)
    log.put("refusals", "a1", {"state": "t.accounts", "event": {"serial": 3}})
    return log


def book(log: Log, account: str, balance: int, kind: str, serial: int) -> None:
    log.own("accounts", account, {"account": account, "balance": balance, "made_by": serial, "kind": kind})


def test_correct_accounts_have_no_violations() -> None:
    assert accounts().kinds() == set()


def test_a_debit_without_its_credit_is_lost() -> None:
    log = accounts()
    log.drop("accounts")
    log.drop("credits")
    assert log.kinds() == {"lost"}


def test_a_credit_booked_twice_is_doubled() -> None:
    log = accounts()
    book(log, "a2", 16, "credited", 2)
    assert log.kinds() == {"doubled"}


def test_a_balance_that_does_not_follow_is_misdecided() -> None:
    log = accounts()
    log.put("transfers", "t4", {"source": "a1", "target": "a2", "amount": 1, "serial": 4})
    book(log, "a1", 7, "debited", 4)
    log.put("credits", "a2", {"account": "a2", "amount": 1, "serial": 4})
    book(log, "a2", 13, "credited", 4)
    assert log.kinds() == {"misdecided"}


def labels() -> Log:
    """a1 moved from c1 to c2; a2 was deleted."""
    log = Log(labels_judging.violations)
    for client in ("c1", "c2"):
        log.follow("clients", client, {"client_id": client, "name": "n", "revision": 1}, 1, 1.0)
    for revision, client in ((1, "c1"), (2, "c2")):
        log.follow("addresses", "a1", address("a1", client, revision), revision, 2.0 + revision)
        label(log, "a1", client, revision)
    log.follow("addresses", "a2", address("a2", "c1", 1), 1, 3.0)
    label(log, "a2", "c1", 1)
    log.follow("addresses", "a2", None, 2, 4.0)
    log.put("labels", "a2", None, larder_generation="3", larder_based_on="1", larder_revision="2")
    return log


def address(key: str, client: str, revision: int) -> dict[str, Any]:
    return {"address_id": key, "client_id": client, "name": "n", "revision": revision}


def label(log: Log, key: str, client: str, revision: int) -> None:
    row = {**address(key, client, revision), "client": {"client_id": client, "name": "n", "revision": 1}}
    join(log, key, row, joined_at=5.0)


def join(log: Log, key: str, row: dict[str, Any], joined_at: float) -> None:
    log.put("t.labels.joined", key, row, joined_at)
    log.own("labels", key, row)


def test_correct_labels_have_no_violations() -> None:
    assert labels().kinds() == set()


def test_a_label_of_an_older_address_has_lost_the_newer_one() -> None:
    log = labels()
    log.follow("addresses", "a1", address("a1", "c1", 3), 3, 6.0)
    assert log.kinds() == {"lost"}


def test_a_label_that_outlives_its_address_has_lost_the_deletion() -> None:
    log = labels()
    log.drop("labels")
    assert log.kinds() == {"lost"}


def test_a_label_without_an_address_is_invented() -> None:
    log = labels()
    label(log, "a1", "c1", 3)
    log.follow("addresses", "a1", address("a1", "c2", 3), 3, 6.0)
    assert log.kinds() == {"invented"}


def test_a_label_with_a_row_that_its_client_never_had_is_misjoined() -> None:
    log = labels()
    log.follow("addresses", "a1", address("a1", "c2", 3), 3, 6.0)
    row = {**address("a1", "c2", 3), "client": {"client_id": "c2", "name": "x", "revision": 1}}
    join(log, "a1", row, joined_at=7.0)
    assert log.kinds() == {"misjoined"}


def test_a_label_that_was_never_joined_is_invented() -> None:
    log = labels()
    log.follow("addresses", "a1", address("a1", "c2", 3), 3, 6.0)
    log.own("labels", "a1", {**address("a1", "c2", 3), "client": {"client_id": "c2", "name": "n", "revision": 1}})
    assert log.kinds() == {"invented"}


@pytest.mark.parametrize(("joined_at", "wrong"), [(7.0, set()), (9.0, {"misjoined"})])
def test_a_label_published_late_is_judged_by_the_time_of_its_join(joined_at: float, wrong: set[str]) -> None:
    log = labels()
    log.follow("addresses", "a1", address("a1", "c2", 3), 3, 6.0)
    log.follow("clients", "c2", {"client_id": "c2", "name": "m", "revision": 2}, 2, 7.5)
    log.history.eras.append(Era(8, 8.0, "one"))
    row = {**address("a1", "c2", 3), "client": {"client_id": "c2", "name": "n", "revision": 1}}
    join(log, "a1", row, joined_at)
    assert log.kinds() == wrong
