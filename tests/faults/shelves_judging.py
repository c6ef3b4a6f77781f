"""Judges the shelves of orders: what was supplied is free, reserved or sold, and no piece is sold twice. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.faults.history import Violation
from tests.faults.parts import Case

Sales = Mapping[str, Sequence[Mapping[str, Any]]]

OVER = frozenset({"confirmed", "rejected", "cancelled"})


class Level(NamedTuple):
    """The pieces of an item."""

    free: int = 0
    reserved: Mapping[str, int] = {}
    sold: int = 0
    supplied: int = 0


def violations(case: Case, sales: Sales) -> Iterator[Violation]:
    """Yield all violations; `sales` are the rows of each order."""
    supplied = {f"supply {each.value['serial']}": each.value["pieces"] for each in case.of("supplies") if each.value}
    times = Counter(f"supply {each.value['serial']}" for each in case.of("supplies") if each.value)
    made: Counter[str] = Counter()
    levels: dict[str, Level] = defaultdict(Level)
    for record in case.of("shelves"):
        row = record.value or {}
        made[row["made_by"]] += 1
        before, found = levels[record.key], _level(row)
        expected = _after(before, row["made_by"], supplied, sales)
        what = f"{record.topic}/{record.partition}/{record.offset} of {record.key}: {row}"
        if expected is None:
            yield Violation("invented", f"{what} has no cause")
        elif expected != found:
            yield Violation("misdecided", f"{what} follows {before}; expected {expected}")
        if found.free < 0:
            yield Violation("oversold", what)
        if found.free + sum(found.reserved.values()) + found.sold != found.supplied:
            yield Violation("total", what)
        levels[record.key] = found
    for cause in made.keys() | times.keys():
        expected_times = times.get(cause, 1)
        if made[cause] != expected_times:
            kind = "lost" if made[cause] < expected_times else "doubled"
            yield Violation(kind, f"shelves: {cause} has {made[cause]} rows instead of {expected_times}")
    yield from _refused_rightly(case, sales)
    for item, level in levels.items():
        yield from _ended(item, level, [rows[-1] for rows in sales.values() if rows[-1]["item"] == item])


def _level(row: Mapping[str, Any]) -> Level:
    return Level(row["free"], row["reserved"], row["sold"], row["supplied"])


def _after(before: Level, cause: str, supplied: Mapping[str, int], sales: Sales) -> Level | None:
    """Return the level after a cause, or None if nothing in the topics is this cause."""
    if cause in supplied:
        return before._replace(free=before.free + supplied[cause], supplied=before.supplied + supplied[cause])
    order, _, state = cause.partition(" ")
    if not any(row["state"] == state for row in sales.get(order, ())):
        return None
    pieces = sales[order][0]["pieces"]
    if state == "requested":
        return before._replace(free=before.free - pieces, reserved={**before.reserved, order: pieces})
    rest = {each: held for each, held in before.reserved.items() if each != order}
    held = before.reserved.get(order, 0)
    if state == "paid":
        return before._replace(reserved=rest, sold=before.sold + held)
    return before._replace(reserved=rest, free=before.free + held)


def _refused_rightly(case: Case, sales: Sales) -> Iterator[Violation]:
    """An order lacks pieces only if fewer are free."""
    for each in case.of("shelf-news"):
        value = each.value or {}
        rows = sales.get(value["order_id"], ())
        if value["happened"] == "lacking" and rows and value["free"] >= rows[0]["pieces"]:
            yield Violation("misdecided", f"{value} for {rows[0]}")


def _ended(item: str, level: Level, orders: Sequence[Mapping[str, Any]]) -> Iterator[Violation]:
    """In the end nothing is reserved, and what is sold are the pieces of the confirmed orders."""
    if level.reserved:
        yield Violation("waits", f"{item} is still reserved: {level.reserved}")
    elif all(order["state"] in OVER for order in orders):
        confirmed = sum(order["pieces"] for order in orders if order["state"] == "confirmed")
        if confirmed > level.supplied:
            yield Violation("oversold", f"{confirmed} pieces of {item} are confirmed, {level.supplied} supplied")
        if confirmed != level.sold:
            yield Violation("total", f"{confirmed} pieces of {item} are confirmed, {level.sold} sold")
