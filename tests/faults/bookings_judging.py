"""Judges bookings: what clients were told is in the log, each request counts once, and no seat is sold twice. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.history import Posted, Seen, Violation
from tests.faults.owned import owned_violations
from tests.faults.parts import Case
from tests.faults.told import CHANGED, posted_to, refused_by, told_violations


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    yield from owned_violations(case, "shows")
    for letter in case.letters("additions"):
        yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    posted = posted_to(case, "/bookings")
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
    made: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row.value:
            made[row.value["made_by"]].append(row.value)
    yield from told_violations(posted, made, refused_by(case, "shows"))
    events = Counter(each.value["serial"] for each in case.of("booked") if each.value)
    for serial in posted:
        if events[serial] != len(made[serial]):
            what = f"request {serial} has {len(made[serial])} rows, {events[serial]} events"
            yield Violation("lost" if events[serial] < len(made[serial]) else "doubled", what)


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
