"""Judges the accounts: each row follows from its event and the previous row, and the total stays the same. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.history import Seen, Violation
from tests.faults.owned import owned_violations
from tests.faults.parts import Case

SIGNS = {"opened": 1, "credited": 1, "debited": -1}


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    yield from owned_violations(case, "accounts")
    hops = [f"{case.prefix}.{each}" for each in ("transfers.by.source", "openings.by.account", "credits.by.account")]
    for source in ("openings", "transfers", "credits", *hops):
        for letter in case.letters(source):
            yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    yield from _booked_once(case)
    yield from _rightly_booked(case)
    balances = {row.key: row.value["balance"] for row in case.of("accounts") if row.value}
    opened = sum(event.value["amount"] for event in case.of("openings") if event.value)
    # An amount in transit is missing only for the moment.
    if sum(balances.values()) != opened:
        kind = "lost" if sum(balances.values()) < opened else "doubled"
        yield Violation(kind, f"accounts: opened with {opened} in total, now {sum(balances.values())}: {balances}")


def _serials(records: Sequence[Seen]) -> Counter[int]:
    return Counter(record.value["serial"] for record in records if record.value)


def _booked_once(case: Case) -> Iterator[Violation]:
    """Each event has a row or a refusal, each debit has a credit event, and each credit event has a row."""
    rows = {kind: Counter[int]() for kind in SIGNS}
    for row in case.of("accounts"):
        if row.value:
            rows[row.value["kind"]][row.value["made_by"]] += 1
    refused = Counter(
        each.value["event"]["serial"]
        for each in case.of("refusals")
        if each.value and each.value["state"] == case.name("accounts")
    )
    credited = _serials(case.of("credits"))
    for what, wanted, found in (
        ("openings", _serials(case.of("openings")), rows["opened"]),
        ("transfers", _serials(case.of("transfers")), rows["debited"] + refused),
        ("credits of debits", rows["debited"], credited),
        ("rows of credits", credited, rows["credited"]),
    ):
        for serial in wanted | found:
            if wanted[serial] != found[serial]:
                kind = "lost" if found[serial] < wanted[serial] else "doubled"
                yield Violation(kind, f"{what}: {serial} occurs {found[serial]} times instead of {wanted[serial]}")


def _rightly_booked(case: Case) -> Iterator[Violation]:
    """Each row follows from the previous one and its event."""
    topics = {"opened": "openings", "debited": "transfers", "credited": "credits"}
    events: dict[tuple[str, int], dict[str, Any]] = {
        (kind, event.value["serial"]): event.value
        for kind, topic in topics.items()
        for event in case.of(topic)
        if event.value
    }
    balances = Counter[str]()
    for row in case.of("accounts"):
        value = row.value or {}
        event = events.get((value["kind"], value["made_by"]))
        what = f"{row.topic}/{row.partition}/{row.offset}: {value}"
        if event is None or row.key not in {event.get("account"), event.get("source")}:
            yield Violation("invented", f"{what} has no event of this account: {event}")
            continue
        expected = balances[row.key] + SIGNS[value["kind"]] * event["amount"]
        if value["balance"] != expected:
            yield Violation("misdecided", f"{what}; expected {expected} after {balances[row.key]} and {event}")
        if value["balance"] < 0:
            yield Violation("oversold", what)
        balances[row.key] = value["balance"]
