"""Judges the money of orders: the provider keeps what paid orders cost, once each, and nothing of lost ones. Pure.

The provider's record says what was asked of it, and what it kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.history import Money, Seen, Violation
from tests.faults.joins import CLOCK_SECONDS
from tests.faults.parts import Case
from tests.faults.provider import CHARGED, GONE, REFUSED

PRICE = 100
"""The cents that a piece costs."""

WITHIN_SECONDS = 20.0
"""How long a charge is tried. Most charges of seeds with long faults still come in time."""

Sales = Mapping[str, Sequence[Mapping[str, Any]]]


def violations(case: Case, sales: Sales) -> Iterator[Violation]:
    """Yield all violations; `sales` are the rows of each order."""
    asked: dict[tuple[str, bool], list[Money]] = defaultdict(list)
    for each in case.history.money:
        asked[each.key, each.void].append(each)
    yield from _asked_once(asked)
    wanted = {topic: _by_order(case, topic) for topic in ("dues", "voids", "payments", "voided")}
    for topic, records in wanted.items():
        for order, found in records.items():
            if len(found) > 1:
                yield Violation("doubled", f"{topic}: {order} occurs {len(found)} times")
    for order, rows in sales.items():
        yield from _kept_rightly(case, order, rows)
        yield from _voided(order, rows, wanted)
    for order in wanted["dues"].keys() | {key for key, void in asked if not void}:
        if not any(row["state"] == "valid" for row in sales.get(order, ())):
            yield Violation("invented", f"{order} is charged, although it was never valid")
    for order, found in wanted["payments"].items():
        for each in found:
            yield from _paid_rightly(each, asked[order, False], sales.get(order, ()))


def _asked_once(asked: Mapping[tuple[str, bool], Sequence[Money]]) -> Iterator[Violation]:
    """An attempt is written down before it begins, so each number is used once."""
    for (order, void), found in asked.items():
        for attempt, times in Counter(each.attempt for each in found).items():
            if times > 1:
                name = "void" if void else "charge"
                yield Violation("repeated", f"attempt {attempt} to {name} {order} was made {times} times: {found}")


def _kept_rightly(case: Case, order: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Violation]:
    """The provider keeps the money of an order that is confirmed, and none of an order that is lost."""
    kept = sum(each.took for each in case.history.money if each.key == order)
    last = rows[-1]
    owed = {"confirmed": PRICE * last["pieces"], "rejected": 0, "cancelled": 0}.get(last["state"])
    if owed is not None and kept != owed:
        what = f"the provider keeps {kept} of {owed} for {last}"
        yield Violation("lost" if kept < owed else "waits", what)


def _voided(order: str, rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> Iterator[Violation]:
    """An order that is valid is charged for; one that is lost then is voided, and no other one."""
    states = [row["state"] for row in rows]
    if ("valid" in states) and not wanted["dues"].get(order):
        yield Violation("lost", f"{order} was valid, and is not due")
    lost = "valid" in states and states[-1] in {"rejected", "cancelled"}
    for topic in ("voids", "voided"):
        found = bool(wanted[topic].get(order))
        if found != lost:
            yield Violation("lost" if lost else "invented", f"{order} went {states}; it is in {topic}: {found}")


def _paid_rightly(payment: Seen, asked: Sequence[Money], rows: Sequence[Mapping[str, Any]]) -> Iterator[Violation]:
    """What is paid was charged by that attempt, what is not was refused or gone, or given up in time."""
    value = payment.value or {}
    what = f"{value}; the provider has {asked}"
    statuses = {each.status for each in asked if each.attempt == value["attempt"]}
    if value["given_up"]:
        valid = [row["changed_at"] for row in rows if row["state"] == "valid"]
        if valid and payment.appended + CLOCK_SECONDS < valid[0] + WITHIN_SECONDS:
            yield Violation("hasty", f"{what}; given up at {payment.appended:.3f}, valid since {valid[0]:.3f}")
    elif value["happened"] == "paid" and CHARGED not in statuses:
        yield Violation("invented", what)
    elif value["happened"] == "unpaid" and not statuses & {REFUSED, GONE}:
        yield Violation("misdecided", what)


def _by_order(case: Case, topic: str) -> Mapping[str, Sequence[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for each in case.of(topic):
        if each.value:
            found[each.value["order_id"]].append(each)
    return found
