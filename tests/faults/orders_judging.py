"""Judges orders: each comes to one end, by legal moves, each move for a reason, and clients were told so. Pure.

The pieces are judged in `shelves_judging.py`, the money in `money_judging.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults import money_judging, shelves_judging
from tests.faults.history import Posted, Seen, Violation
from tests.faults.owned import owned_violations
from tests.faults.parts import Case
from tests.faults.told import posted_to, refused_by, told_violations

LATE_SECONDS = 8.0
"""When an order is rejected that its shelf has not answered: longer than a session and a start of a worker."""

PRICE = money_judging.PRICE
WITHIN_SECONDS = money_judging.WITHIN_SECONDS

ENDS = frozenset({"confirmed", "rejected", "cancelled"})

REASONS: Mapping[tuple[str, str], str] = {
    ("", "requested"): "placed",
    ("requested", "valid"): "reserved",
    ("requested", "rejected"): "lacking",
    ("requested", "cancelled"): "cancelled",
    ("valid", "paid"): "paid",
    ("valid", "rejected"): "unpaid",
    ("valid", "cancelled"): "cancelled",
    ("paid", "confirmed"): "sold",
}
"""All legal moves, and what each results from. An order may also be rejected since it is late."""

SOURCES = (
    "supplies",
    "sale-changes",
    "sales",
    "shelf-news",
    "payments",
    "dues",
    "voids",
    "sales.wake-ups",
    "sale-changes.by.item",
)


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    for table in ("sales", "shelves"):
        yield from owned_violations(case, table)
    for source in SOURCES:
        internal = "." in source
        for letter in case.letters(case.name(source) if internal else source):
            yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    sales = sales_of(case)
    posted = posted_to(case, "/sales")
    happened = {(each.value["order_id"], each.value["happened"]) for each in _news(case)}
    for rows in sales.values():
        yield from _walked(rows, posted, happened)
    yield from _announced(case, sales)
    yield from _said_once(case)
    made: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for rows in sales.values():
        for row in rows:
            made[row["made_by"]].append(row)
    yield from told_violations(posted, made, refused_by(case, "sales"))
    yield from _refused(case)
    yield from shelves_judging.violations(case, sales)
    yield from money_judging.violations(case, sales)


def figures(case: Case) -> Iterator[str]:
    """Yield how many orders came to which end, and for how many money was paid back."""
    ends = Counter(rows[-1]["state"] for rows in sales_of(case).values())
    back = sum(each.took < 0 for each in case.history.money)
    yield "orders " + ", ".join((*(f"{count} {state}" for state, count in sorted(ends.items())), f"{back} paid back"))


def sales_of(case: Case) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each order, in the order of the log."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in case.of("sales"):
        if row.value:
            found[row.key].append(row.value)
    return found


def _walked(
    rows: Sequence[dict[str, Any]], posted: Mapping[int, Sequence[Posted]], happened: set[tuple[str, str]]
) -> Iterator[Violation]:
    """Each row follows from the one before by a legal move with its reason, and the last one is an end."""
    state, step = "", 0
    for row in rows:
        what, order = f"{row} follows {state or 'nothing'}", row["order_id"]
        reason = REASONS.get((state, row["state"]))
        if reason is None or row["step"] != step + 1:
            yield Violation("misdecided", what)
        elif reason in {"placed", "cancelled"}:
            yield from _wished(row, reason, posted.get(row["made_by"], ()))
        elif (order, reason) not in happened:
            if reason != "lacking":
                yield Violation("invented", f"{what}, and it is not {reason}")
            elif row["changed_at"] < row["placed_at"] + LATE_SECONDS:
                yield Violation("hasty", f"{what}, and it is neither late nor lacking")
        state, step = row["state"], row["step"]
    if state not in ENDS:
        yield Violation("waits", f"an order has not come to its end: {rows[-1]}")


def _wished(row: Mapping[str, Any], reason: str, tries: Sequence[Posted]) -> Iterator[Violation]:
    """A row that results from a request is about the order that its client named."""
    cancels = f"/sales/{row['order_id']}/cancel"
    for each in tries[:1]:
        placed = each.path == "/sales" and all(row[name] == each.body[name] for name in ("order_id", "item", "pieces"))
        if not (placed if reason == "placed" else each.path == cancels):
            yield Violation("misdecided", f"{row} results from {each}")
    if not tries:
        yield Violation("invented", f"{row} has no request")


def _announced(case: Case, sales: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Violation]:
    """Each row is announced once, in the order of the rows."""
    told: dict[str, list[Any]] = defaultdict(list)
    for each in case.of("sale-changes"):
        if each.value:
            told[each.key].append((each.value["step"], each.value["state"]))
    for order in sales.keys() | told.keys():
        rows = [(row["step"], row["state"]) for row in sales.get(order, ())]
        if rows != told[order]:
            more, less = Counter(told[order]) - Counter(rows), Counter(rows) - Counter(told[order])
            kind = "doubled" if more else "lost" if less else "reordered"
            yield Violation(kind, f"changes of {order}: {told[order]} for the rows {rows}")


def _said_once(case: Case) -> Iterator[Violation]:
    """Nothing is said of an order twice."""
    said = Counter((each.value["order_id"], each.value["happened"]) for each in _news(case))
    for (order, happened), times in said.items():
        if times > 1:
            yield Violation("doubled", f"{order} is {happened} {times} times")
        if happened == "reserved" and (order, "lacking") in said:
            yield Violation("doubled", f"{order} is both reserved and lacking")


def _refused(case: Case) -> Iterator[Violation]:
    """Only requests are refused: what follows an order always finds it."""
    states = {case.name("sales"), case.name("shelves")}
    for each in case.of("refusals"):
        if each.value and each.value["state"] in states and "serial" not in each.value["event"]:
            yield Violation("misdecided", f"refused: {each.value}")


def _news(case: Case) -> Sequence[Any]:
    found: list[Seen] = [*case.of("shelf-news"), *case.of("payments")]
    return [each for each in found if each.value]
