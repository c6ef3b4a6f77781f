"""Judges the stock: a model applies the events in the order of the rows, and compares. Pure.

It finds pieces that were sold twice, refused although available, lost, or given back too early, twice or never.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.history import Seen, Violation
from tests.faults.joins import CLOCK_SECONDS
from tests.faults.owned import owned_violations
from tests.faults.parts import Case

BY = "{prefix}.requests.by.product_id"


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    yield from owned_violations(case, "levels")
    by = BY.replace("{prefix}", case.prefix)
    wake_ups = f"{case.prefix}.levels.wake-ups"
    hop = f"{case.prefix}.deliveries.by.product_id"
    for source in ("requests", "deliveries", hop, by, wake_ups):
        for letter in case.letters(source):
            yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    events = {
        event.value["serial"]: event.value for event in (*case.of("deliveries"), *case.of("requests")) if event.value
    }
    walks = {key: Walk(key, rows, events) for key, rows in _by_key(case.of("levels")).items()}
    for walk in walks.values():
        yield from walk.violations
    yield from _answered_once(case, walks)
    yield from _emitted(case, walks)
    yield from _refused_rightly(case, by, walks)
    yield from _totals(case, walks)


class Walk:
    """Compares the rows of one product, in the order of the log, with the result of each event on the previous row."""

    def __init__(self, product: str, rows: Sequence[Seen], events: dict[int, dict[str, Any]]) -> None:
        self.product = product
        self.causes: list[int] = []
        self.lefts: list[int] = [0]
        self.given_back = Counter[int]()
        self.held: dict[str, float] = {}
        self.violations: list[Violation] = []
        revision = 0
        for row in rows:
            value = row.value or {}
            what = f"{row.topic}/{row.partition}/{row.offset} of {product}"
            event = events.get(value["made_by"])
            if value["made_by"] == -1:
                expected = self._given_back(value, row.appended, what)
            elif event is None or event["product_id"] != product:
                self.violations.append(Violation("invented", f"{what} has no event: {value}"))
                expected = None
            else:
                expected = self._changed(event, revision, what)
            if expected is not None and expected != (value["left"], value["held"]):
                self.violations.append(Violation("misdecided", f"{what} has {value}; expected {expected}"))
            self.causes.append(value["made_by"])
            self.lefts.append(value["left"])
            self.held, revision = value["held"], value["revision"]

    def _changed(self, event: dict[str, Any], revision: int, what: str) -> tuple[int, dict[str, float]]:
        left = self.lefts[-1]
        if "request_id" not in event:
            return left + event["pieces"], self.held
        if event["pieces"] > left:
            self.violations.append(Violation("oversold", f"{what}: {left} were left, and {event} was reserved"))
        more = {f"{event['serial']} {event['pieces']} {revision}": event["until"]} if event["until"] else {}
        return left - event["pieces"], {**self.held, **more}

    def _given_back(self, value: dict[str, Any], at: float, what: str) -> tuple[int, dict[str, float]]:
        over = {name: until for name, until in self.held.items() if name not in value["held"]}
        if not over:
            self.violations.append(Violation("doubled", f"{what}: a wake-up found nothing to give back"))
        if early := {name: until for name, until in over.items() if until > at + CLOCK_SECONDS}:
            self.violations.append(Violation("hasty", f"{what} came at {at:.3f}, before {early}"))
        self.given_back.update(int(name.split()[0]) for name in over)
        held = {name: until for name, until in self.held.items() if name not in over}
        return self.lefts[-1] + sum(int(name.split()[1]) for name in over), held


def _by_key(rows: Sequence[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for row in rows:
        found[row.key].append(row)
    return found


def _refusals(case: Case) -> list[Seen]:
    return [each for each in case.of("refusals") if each.value and each.value["state"] == case.name("levels")]


def _answered_once(case: Case, walks: dict[str, Walk]) -> Iterator[Violation]:
    """Each event has a row or a refusal: exactly one of these, once."""
    asked = Counter(
        each.value["serial"] for topic in ("deliveries", "requests") for each in case.of(topic) if each.value
    )
    rows = Counter(cause for walk in walks.values() for cause in walk.causes if cause >= 0)
    refused = Counter(each.value["event"]["serial"] for each in _refusals(case) if each.value)
    for serial in asked | rows | refused:
        found = rows[serial] + refused[serial]
        if found != asked[serial]:
            kind = "lost" if found < asked[serial] else "doubled"
            what = f"stock: event {serial} was written {asked[serial]} times"
            yield Violation(kind, f"{what}; {rows[serial]} rows, {refused[serial]} refusals")


def _emitted(case: Case, walks: dict[str, Walk]) -> Iterator[Violation]:
    """Each row has its events, and each event has its row. At the end, nothing is held beyond its time."""
    requests = {each.value["serial"] for each in case.of("requests") if each.value}
    wanted = Counter(cause for walk in walks.values() for cause in walk.causes if cause in requests)
    back = sum((walk.given_back for walk in walks.values()), Counter[int]())
    for topic, expected in (("reserved", wanted), ("given-back", back)):
        found = Counter(each.value["serial"] for each in case.of(topic) if each.value)
        for serial in expected | found:
            if found[serial] != expected[serial]:
                kind = "lost" if found[serial] < expected[serial] else "doubled"
                yield Violation(kind, f"{topic}: {serial} occurs {found[serial]} times, in rows {expected[serial]}")
    for walk in walks.values():
        if walk.held:
            yield Violation("waits", f"{walk.product} still holds {walk.held}")


def _refused_rightly(case: Case, by: str, walks: dict[str, Walk]) -> Iterator[Violation]:
    """A refusal names a level between the reservations before and after it, and that level was too low."""
    order = defaultdict(list)
    for request in case.of(by):
        if request.value:
            order[request.value["serial"]].append(request.offset)
    for refusal in _refusals(case):
        value = refusal.value or {}
        event, left = value["event"], int(value["reason"].split()[0])
        walk = walks.get(event["product_id"])
        what = f"{value['id']}: {event} was refused with {left} left"
        if left >= event["pieces"]:
            yield Violation("misdecided", what)
        if walk is None or len(order[event["serial"]]) != 1:
            continue  # if one was written twice, it is unknown which was refused
        at = order[event["serial"]][0]
        once = [(place, order[cause][0]) for place, cause in enumerate(walk.causes) if len(order.get(cause, ())) == 1]
        first = max((place + 1 for place, offset in once if offset < at), default=0)
        last = min((place for place, offset in once if offset > at), default=len(walk.causes))
        if left not in walk.lefts[first : last + 1]:
            yield Violation("misdecided", f"{what}; the levels were {walk.lefts[first : last + 1]}")


def _totals(case: Case, walks: dict[str, Walk]) -> Iterator[Violation]:
    """From the published events alone: delivered pieces are left, or were sold and not given back."""
    total = Counter[str]()
    for topic, sign in (("deliveries", 1), ("reserved", -1), ("given-back", 1)):
        for record in case.of(topic):
            if record.value:
                total[record.value["product_id"]] += sign * record.value["pieces"]
    for product, walk in walks.items():
        if walk.lefts[-1] != total[product]:
            yield Violation("total", f"{product}: {walk.lefts[-1]} are left instead of {total[product]}")
