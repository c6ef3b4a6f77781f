"""Judges a join: each order comes out once, with a row that its partner had, not older than what was known. Pure.

Compares committed records with the versions of the partner, and finds all violations, not only the first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.faults.history import Era, Seen, Violation, measured_since
from tests.faults.versions import Version, Versions

CLOCK_SECONDS = 0.05
"""The broker's timestamps are in whole milliseconds, and are taken before a record is in the log."""

SHORT_SECONDS = 10.0
"""The longest wait that is over when the system is idle."""


@dataclass(frozen=True)
class Join:
    """One join as declared.

    `wait` in seconds, or None; `then` is the last step for an order without a partner.
    """

    source: str
    into: str
    field: str
    embed: str
    wait: float | None
    then: str
    waiting: str


class Waiting(NamedTuple):
    """An order that still waits at the end: its place in the input, its message key, and its fields."""

    partition: int
    offset: int
    key: str
    order: dict[str, Any]


@dataclass
class Ledger:
    """The outcomes of the orders of one join, by serial."""

    orders: Counter[int]
    outputs: dict[int, list[Seen]]
    letters: dict[int, list[Seen]]
    waiting: Counter[int]


def join_violations(
    join: Join,
    orders: Sequence[Seen],
    outputs: Sequence[Seen],
    letters: Sequence[Seen],
    waiting: Sequence[Waiting],
    versions: Versions,
    eras: Sequence[Era],
) -> Iterator[Violation]:
    """Collect `orders` and `outputs` of whole topics, the `letters` of `join.source`, and orders still `waiting`."""
    ledger = Ledger(
        Counter(order.value["serial"] for order in orders if order.value),
        _by_serial(outputs),
        _by_serial(letters),
        Counter(each.order["serial"] for each in waiting),
    )
    yield from _accounted(join, ledger)
    known = {order.value["serial"]: order for order in orders if order.value}
    for output in outputs:
        yield from _rightly_joined(join, output, known.get((output.value or {}).get("serial", -1)), versions, eras)
    for letter in letters:
        yield from _rightly_dead_lettered(join, letter, known, versions, eras)
    yield from _rightly_waiting(join, waiting, versions)
    yield from _in_order(join, orders, outputs)
    yield from _never_older(join, outputs, versions)


def _by_serial(records: Sequence[Seen]) -> dict[int, list[Seen]]:
    found: dict[int, list[Seen]] = defaultdict(list)
    for record in records:
        if record.value is not None:
            found[record.value["serial"]].append(record)
    return found


def _accounted(join: Join, ledger: Ledger) -> Iterator[Violation]:
    """Each written order is an output, is a dead letter, or waits: exactly one of these, once."""
    serials = {*ledger.orders, *ledger.outputs, *ledger.letters, *ledger.waiting}
    for serial in sorted(serials):
        wanted = ledger.orders[serial]
        out, dead = len(ledger.outputs.get(serial, ())), len(ledger.letters.get(serial, ()))
        waits = ledger.waiting[serial]
        found = out + dead + waits
        what = f"{join.into}: order {serial} was written {wanted} times; {out} outputs, {dead} dead, {waits} waiting"
        if not wanted:
            yield Violation("invented", what)
        elif found < wanted:
            yield Violation("lost", what)
        elif found > wanted:
            yield Violation("doubled", what)


def _rightly_joined(
    join: Join, output: Seen, order: Seen | None, versions: Versions, eras: Sequence[Era]
) -> Iterator[Violation]:
    value = output.value
    if value is None or order is None or order.value is None:
        yield Violation("invented", f"{_place(output)} has no order: {value}")
        return
    if {name: value.get(name) for name in order.value} != order.value:
        yield Violation("changed", f"{_place(output)} differs from the written order: {value}, {order.value}")
    row, partner = value[join.embed], order.value[join.field]
    since = measured_since(eras, output.appended, value.get("worker") or None)
    if row is None:
        if join.then != "PassOn":
            yield Violation("misjoined", f"{_place(output)} has no row, which this join does not allow: {value}")
        else:
            yield from _absent(partner, since, output, versions)
        return
    used = versions.used(partner, row)
    if used is None:
        yield Violation("misjoined", f"{_place(output)} has a row that {partner} never had: {row}")
    elif used not in versions.possible(partner, since, output.appended + CLOCK_SECONDS):
        newer = next(each for each in versions.of(partner) if each.revision > used.revision)
        kind = "resurrected" if newer.row is None else "misjoined"
        yield Violation(
            kind,
            f"{_place(output)}, appended {output.appended:.3f}, has revision {used.revision} of {partner};"
            f" {newer.revision} existed at {newer.acked:.3f}, before its worker measured its tables at {since:.3f}",
        )


def _absent(partner: str | None, since: float, record: Seen, versions: Versions) -> Iterator[Violation]:
    if partner is None:
        return
    possible = versions.possible(partner, since, record.appended + CLOCK_SECONDS)
    if all(version.row is not None for version in possible):
        yield Violation("misjoined", f"{_place(record)} found no row of {partner}, which had {_described(possible)}")


def _rightly_dead_lettered(
    join: Join, letter: Seen, known: dict[int, Seen], versions: Versions, eras: Sequence[Era]
) -> Iterator[Violation]:
    """An order is dead-lettered only if it has no partner at its deadline or later."""
    order = known.get((letter.value or {}).get("serial", -1))
    if order is None or order.value is None:
        yield Violation("invented", f"{_place(letter)} has no order: {letter.value}")
        return
    if "has no row" not in letter.headers.get("larder.cause", "") and order.value[join.field] is not None:
        yield Violation("parked", f"{_place(letter)}: {letter.headers.get('larder.cause')}")
        return
    since = measured_since(eras, letter.appended)
    if join.wait is not None:
        since = max(since, order.appended + join.wait)
        if letter.appended < order.appended + join.wait - CLOCK_SECONDS:
            yield Violation(
                "hasty", f"{_place(letter)} was dead-lettered {letter.appended - order.appended:.2f} s after it came"
            )
    yield from _absent(order.value[join.field], since, letter, versions)


def _rightly_waiting(join: Join, waiting: Sequence[Waiting], versions: Versions) -> Iterator[Violation]:
    """Once the system is idle, the first waiting order of a key has no partner, and none waits beyond its deadline."""
    queued: set[tuple[int, str]] = set()
    for each in sorted(waiting, key=lambda each: (each.partition, each.offset)):
        partner = each.order[join.field]
        what = f"{join.into}: order {each.order['serial']}"
        if (each.partition, each.key) not in queued and partner is not None and versions.last(partner).row is not None:
            yield Violation("waits", f"{what} waits for {partner}, which exists")
        if join.wait is None or join.wait < SHORT_SECONDS:
            yield Violation("waits", f"{what} still waits after its deadline")
        queued.add((each.partition, each.key))


def _in_order(join: Join, orders: Sequence[Seen], outputs: Sequence[Seen]) -> Iterator[Violation]:
    """Outputs of one key, from one partition of the input, have the order of the input."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for order in orders:
        if order.value is not None:
            offsets[order.value["serial"]].append(order.offset)
    last: dict[tuple[Any, ...], int] = {}
    for output in outputs:
        if output.value is None or not offsets.get(output.value["serial"]):
            continue
        offset = offsets[output.value["serial"]].pop(0)
        stream = (output.key, output.value["product_id"] if join.source.endswith(".by.product_id") else None)
        if offset < last.get(stream, -1):
            yield Violation("reordered", f"{_place(output)} of {stream} comes after a later order: {output.value}")
        last[stream] = max(offset, last.get(stream, -1))


def _never_older(join: Join, outputs: Sequence[Seen], versions: Versions) -> Iterator[Violation]:
    """In each partition of the output, the revisions of one partner never decrease, whichever worker wrote them."""
    last: dict[tuple[int, str], Version] = {}
    for output in outputs:
        row = output.value and output.value[join.embed]
        if not output.value or row is None:
            continue
        stream = (output.partition, output.value[join.field])
        used = versions.used(stream[1], row)
        if used is None:
            continue
        if used.revision < last.get(stream, used).revision:
            yield Violation(
                "falling", f"{_place(output)} has revision {used.revision} of {stream[1]} after {last[stream].revision}"
            )
        last[stream] = used


def _place(record: Seen) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _described(versions: Sequence[Version]) -> str:
    return ", ".join(f"revision {each.revision} from {each.acked:.3f}" for each in versions)
