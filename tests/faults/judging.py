"""The verdict over one seed's joins: from the topics, the recorded answers and the plan to violations. Pure."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tests.faults.answers import answer_violations
from tests.faults.history import History, Seen, Violation
from tests.faults.joins import Join, Waiting, join_violations
from tests.faults.plan import Plan
from tests.faults.versions import Versions


def joins_of(plan: Plan, prefix: str) -> tuple[Join, Join]:
    """The joins that `shop` declares, with the keys of their partners' topics."""
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


def violations(plan: Plan, prefix: str, history: History, seen: Sequence[Seen]) -> list[Violation]:
    """All that is wrong."""
    of_topic: dict[str, list[Seen]] = {}
    for record in seen:
        of_topic.setdefault(record.topic, []).append(record)
    enrich, fulfil = joins_of(plan, prefix)
    owners = [Versions(f"{prefix}.{name}", history.written, seen) for name in ("customers", "products")]
    orders = of_topic.get(enrich.source, [])
    rekeyed = of_topic.get(fulfil.source, [])
    letters = of_topic.get(f"{prefix}.dead-letters", [])
    found = list(_written_is_there(history, orders, enrich.source))
    found += _rekeyed_once(orders, rekeyed)
    for join, source, versions in ((enrich, orders, owners[0]), (fulfil, rekeyed, owners[1])):
        found += join_violations(
            join,
            source,
            of_topic.get(join.into, []),
            [letter for letter in letters if letter.headers.get("larder.topic") == join.source],
            waiting(of_topic.get(join.waiting, [])),
            versions,
            history.eras,
        )
        found += answer_violations(history, versions)
    return [*history.violations, *found]


def waiting(records: Sequence[Seen]) -> list[Waiting]:
    """The orders that wait, as they were written: the last record of each key of the waiting topic tells."""
    last = {(record.partition, record.key): record.value for record in records}
    return [
        Waiting(partition, row["offset"], row["key"], msgspec.json.decode(base64.b64decode(row["value"])))
        for (partition, _), row in last.items()
        if row is not None
    ]


def _written_is_there(history: History, orders: Sequence[Seen], topic: str) -> Iterator[Violation]:
    """The broker keeps what it has acknowledged: else it is not Larder that is judged."""
    there = {(order.partition, order.offset) for order in orders}
    for write in history.written:
        if write.topic == topic and write.offset >= 0 and (write.partition, write.offset) not in there:
            yield Violation("broker", f"{topic}/{write.partition}/{write.offset} was acknowledged, and is not there")


def _rekeyed_once(orders: Sequence[Seen], rekeyed: Sequence[Seen]) -> Iterator[Violation]:
    """Each order is in the internal topic as often as it was written, as it was."""
    wanted = Counter(_content(order) for order in orders)
    found = Counter(_content(order) for order in rekeyed)
    for content in wanted | found:
        if (times := found[content] - wanted[content]) != 0:
            kind = "lost" if times < 0 else "doubled"
            yield Violation(
                kind, f"rekeyed: {content} was written {wanted[content]} times and is there {found[content]}"
            )


def _content(record: Seen) -> tuple[str, str]:
    return record.key, repr(record.value)
