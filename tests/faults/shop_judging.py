"""Judges the joins of the shop from the topics, the recorded answers and the plan. Pure."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tests.faults.answers import answer_violations
from tests.faults.history import History, Seen, Violation
from tests.faults.joins import Join, Waiting, join_violations
from tests.faults.parts import Case
from tests.faults.plan import Plan


def joins_of(plan: Plan, prefix: str) -> tuple[Join, Join]:
    """Return the joins that `shop` declares, with the keys of their partners' topics."""
    sides = (
        ("orders", "enriched", "customer_id", "customer"),
        (f"{prefix}.orders.by.product_id", "fulfilled", "product_id", "product"),
    )
    found = []
    for (source, into, field, embed), missing in zip(sides, plan.missing, strict=True):
        wait, _, then = missing.rpartition(".then(")
        found.append(
            Join(
                f"{prefix}.{source}",
                f"{prefix}.{into}",
                field,
                embed,
                float(wait.removeprefix("Wait(seconds=").rstrip(")")) if wait else None,
                then.rstrip(")"),
                f"{prefix}.{prefix}.{into}.waiting",
            )
        )
    return found[0], found[1]


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    enrich, fulfil = joins_of(case.plan, case.prefix)
    orders, rekeyed = case.of("orders"), case.of(f"{case.prefix}.orders.by.product_id")
    yield from _written_is_there(case.history, orders, enrich.source)
    if case.scaled:
        # Records are copied between the internal topics of two generations.
        rekeyed = orders
    else:
        yield from _rekeyed_once(orders, rekeyed)
    for join, source, owner in ((enrich, orders, "customers"), (fulfil, rekeyed, "products")):
        versions = case.versions(owner)
        yield from join_violations(
            join,
            source,
            case.of(join.into.removeprefix(f"{case.prefix}.")),
            case.letters(join.source.removeprefix(f"{case.prefix}.")),
            waiting(_waiting_records(case, join)),
            versions,
            case.history.eras,
        )
        yield from answer_violations(case.history, case.name(owner), versions, placed=not case.scaled)


def _waiting_records(case: Case, join: Join) -> Sequence[Seen]:
    """Return the records of a waiting topic; only the join of rekeyed orders takes part in a growth."""
    topic = join.waiting.removeprefix(f"{case.prefix}.")
    return case.current(topic) if ".by." in join.source else case.of(topic)


def waiting(records: Sequence[Seen]) -> list[Waiting]:
    """Return the waiting orders as they were written, from the last record of each key of the waiting topic."""
    last = {(record.partition, record.key): record.value for record in records}
    return [
        Waiting(partition, row["offset"], row["key"], msgspec.json.decode(base64.b64decode(row["value"])))
        for (partition, _), row in last.items()
        if row is not None
    ]


def _written_is_there(history: History, orders: Sequence[Seen], topic: str) -> Iterator[Violation]:
    """The broker keeps what it has acknowledged. Otherwise the fault is not Larder's."""
    there = {(order.partition, order.offset) for order in orders}
    for write in history.written:
        if write.topic == topic and write.offset >= 0 and (write.partition, write.offset) not in there:
            yield Violation("broker", f"{topic}/{write.partition}/{write.offset} was acknowledged, but is missing")


def _rekeyed_once(orders: Sequence[Seen], rekeyed: Sequence[Seen]) -> Iterator[Violation]:
    """Each order is in the internal topic unchanged, as often as it was written."""
    wanted = Counter(_content(order) for order in orders)
    found = Counter(_content(order) for order in rekeyed)
    for content in wanted | found:
        if (times := found[content] - wanted[content]) != 0:
            kind = "lost" if times < 0 else "doubled"
            yield Violation(
                kind, f"rekeyed: {content} was written {wanted[content]} times, but occurs {found[content]} times"
            )


def _content(record: Seen) -> tuple[str, str]:
    return record.key, repr(record.value)
