"""Judges bookings: what clients were told is in the log, each request counts once, and no seat is sold twice. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.history import Posted, Seen, Violation
from tests.faults.owned import owned_violations
from tests.faults.parts import Case

CHANGED = frozenset({200, 201})
REFUSED = 409
TOLD = CHANGED | {REFUSED}
"""The statuses of answers that say what a request came to."""

UNTOUCHED = frozenset(
    f"urn:larder:{kind}" for kind in ("not-here", "too-busy", "recovering", "unserved", "unavailable")
) | {"not reached"}
"""The answers that say that nothing has happened."""


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    yield from owned_violations(case, "shows")
    for letter in case.letters("additions"):
        yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    posted: dict[int, list[Posted]] = defaultdict(list)
    for each in case.history.posted:
        posted[each.serial].append(each)
    added = {each.value["serial"]: each.value["seats"] for each in case.of("additions") if each.value}
    rows = [each for each in case.of("shows") if each.value]
    asked = {serial: tries[0].body for serial, tries in posted.items()}
    yield from _walked(rows, {**{serial: -body["seats"] for serial, body in asked.items()}, **added})
    yield from _counted(case, posted, rows)
    yield from _in_order(posted)


def _walked(rows: Sequence[Seen], changes: Mapping[int, int]) -> Iterator[Violation]:
    """Each row follows from the one before by one request or event, and no seat is sold that is not free."""
    free: Counter[str] = Counter()
    for row in rows:
        value = row.value or {}
        what = f"{row.topic}/{row.partition}/{row.offset} of {row.key}: {value}"
        change = changes.get(value["made_by"])
        if change is None:
            yield Violation("invented", f"{what} has neither a request nor an event")
        elif value["free"] != free[row.key] + change:
            yield Violation("misdecided", f"{what} follows {free[row.key]}, by {change}")
        if value["free"] < 0:
            yield Violation("oversold", what)
        free[row.key] = value["free"]


def _counted(case: Case, posted: Mapping[int, Sequence[Posted]], rows: Sequence[Seen]) -> Iterator[Violation]:
    """Each request has one row and one event, or one refusal, as its clients were told; or nothing, if none was."""
    by_serial: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row.value:
            by_serial[row.value["made_by"]].append(row.value)
    refused = Counter(
        each.value["event"]["serial"]
        for each in case.of("refusals")
        if each.value and each.value["state"] == case.name("shows")
    )
    events = Counter(each.value["serial"] for each in case.of("booked") if each.value)
    for serial, tries in posted.items():
        made, told = by_serial.get(serial, []), [each for each in tries if each.status in TOLD]
        what = f"request {serial} has {len(made)} rows, {events[serial]} events, {refused[serial]} refusals"
        if len(made) + refused[serial] > 1:
            yield Violation("doubled", what)
        if events[serial] != len(made):
            yield Violation("lost" if events[serial] < len(made) else "doubled", what)
        if not told and tries[0].once:
            yield Violation("silent", f"{what}; its client never learned its outcome: {tries[-1]}")
        if not told and made + [serial] * refused[serial] and all(_untouched(each) for each in tries):
            yield Violation("invented", f"{what}, and its client was told that nothing has happened: {tries[-1]}")
        for each in told:
            yield from _told_rightly(each, what, made, refused[serial])
        for each in tries:
            if each.status not in TOLD | {0, 503}:
                yield Violation("answer", f"request {serial}: {each}")


def _told_rightly(each: Posted, what: str, made: Sequence[dict[str, Any]], refused: int) -> Iterator[Violation]:
    answered = f"{what}; worker {each.worker} answered {each.status}, {each.answer}"
    if each.status == REFUSED:
        if not refused:
            yield Violation("lost", answered)
    elif not made:
        yield Violation("lost", answered)
    elif each.answer["row"] != made[0] or each.answer["revision"] != made[0]["revision"]:
        yield Violation("answer", f"{answered}; the topic has {made[0]}")


def _untouched(each: Posted) -> bool:
    return each.answer.get("type") in UNTOUCHED


def _in_order(posted: Mapping[int, Sequence[Posted]]) -> Iterator[Violation]:
    """A request that was sent after another one of its show was answered has a higher revision."""
    moments: list[tuple[float, bool, Posted]] = []
    for tries in posted.values():
        if (told := min((each for each in tries if each.status in CHANGED), key=_answered, default=None)) is not None:
            moments += [(min(each.asked for each in tries), True, told), (told.answered, False, told)]
    newest: dict[str, Posted] = {}
    before: dict[int, Posted] = {}
    for _, asks, each in sorted(moments, key=lambda moment: moment[:2]):
        show, revision = each.body["show"], each.answer["revision"]
        if asks and show in newest:
            before[each.serial] = newest[show]
        if asks:
            continue
        if each.serial in before and before[each.serial].answer["revision"] >= revision:
            yield Violation("reordered", f"{each} was sent after the answer {before[each.serial]}")
        if show not in newest or revision > newest[show].answer["revision"]:
            newest[show] = each


def _answered(each: Posted) -> float:
    return each.answered
