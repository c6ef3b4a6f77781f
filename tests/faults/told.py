"""Judges what clients were told about their requests: each counts once, as they were told. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.history import Posted, Violation
from tests.faults.parts import Case

CHANGED = frozenset({200, 201})
REFUSED = 409
TOLD = CHANGED | {REFUSED}
"""The statuses of answers that say what a request came to."""

UNTOUCHED = frozenset(
    f"urn:larder:{kind}" for kind in ("not-here", "too-busy", "recovering", "unserved", "unavailable")
) | {"not reached"}
"""The answers that say that nothing has happened."""

Made = Mapping[int, Sequence[dict[str, Any]]]
"""The rows that name a request, by its serial, in the order of the log."""


def posted_to(case: Case, address: str) -> Mapping[int, Sequence[Posted]]:
    """Return the tries of all requests to an address and those below it, by serial."""
    found: dict[int, list[Posted]] = defaultdict(list)
    for each in case.history.posted:
        if each.path == address or each.path.startswith(f"{address}/"):
            found[each.serial].append(each)
    return found


def refused_by(case: Case, state: str) -> Counter[int]:
    """Return how often each request about a row of `state` was refused, by serial."""
    values = [each.value for each in case.of("refusals") if each.value and each.value["state"] == case.name(state)]
    return Counter(value["event"]["serial"] for value in values if "serial" in value["event"])


def told_violations(posted: Mapping[int, Sequence[Posted]], made: Made, refused: Counter[int]) -> Iterator[Violation]:
    """Each request has one row or one refusal, as its clients were told; or nothing, if none was."""
    for serial, tries in posted.items():
        rows, told = made.get(serial, ()), [each for each in tries if each.status in TOLD]
        what = f"request {serial} has {len(rows)} rows, {refused[serial]} refusals"
        counted = len(rows) + refused[serial]
        if counted > 1:
            yield Violation("doubled", what)
        if not told and tries[0].once:
            yield Violation("silent", f"{what}; its client never learned its outcome: {tries[-1]}")
        if not told and counted and all(each.answer.get("type") in UNTOUCHED for each in tries):
            yield Violation("invented", f"{what}, and its client was told that nothing has happened: {tries[-1]}")
        for each in told:
            yield from _told_rightly(each, what, rows, refused[serial])
            if _said(each) != _said(told[0]):
                yield Violation("answer", f"{what}; a repeat got {_said(each)} after {_said(told[0])}")
        for each in tries:
            if each.status not in TOLD | {0, 503}:
                yield Violation("answer", f"request {serial}: {each}")


def _told_rightly(each: Posted, what: str, rows: Sequence[dict[str, Any]], refused: int) -> Iterator[Violation]:
    answered = f"{what}; worker {each.worker} answered {each.status}, {each.answer}"
    if each.status == REFUSED:
        if not refused:
            yield Violation("lost", answered)
    elif not rows:
        yield Violation("lost", answered)
    elif each.answer["row"] != rows[0] or each.answer["revision"] != rows[0]["revision"]:
        yield Violation("answer", f"{answered}; the topic has {rows[0]}")


def _said(each: Posted) -> tuple[int, Any, Any]:
    """Return what is the same in each answer to a request: who answers, and the token, may differ."""
    return each.status, each.answer.get("row"), each.answer.get("reason")
