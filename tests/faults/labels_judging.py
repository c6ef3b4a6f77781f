"""Judges the labels: each has the current address and a row of its client. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.answers import answer_violations
from tests.faults.history import Seen, Violation, measured_since
from tests.faults.joins import CLOCK_SECONDS
from tests.faults.owned import chain_violations, generation_violations
from tests.faults.parts import Case
from tests.faults.plan import Plan
from tests.faults.versions import Versions

PASSING_SECONDS = 5.0
"""How long a row may be on its way through a mirror, on a loaded machine."""


def waits(plan: Plan) -> bool:
    """Whether an address waits for its client, or gets no label."""
    return plan.missing[1].startswith("Wait")


def violations(case: Case) -> Iterator[Violation]:
    """Yield all violations."""
    labels = case.of("labels")
    yield from chain_violations(labels)
    yield from generation_violations(labels)
    clients, addresses = case.versions("clients"), case.versions("addresses")
    yield from answer_violations(case.history, case.name("clients"), clients, placed=not case.scaled)
    for source in ("addresses", f"{case.prefix}.addresses.by.client_id"):
        for letter in case.letters(source):
            yield Violation("parked", f"{letter.key}: {letter.headers.get('larder.cause')}")
    for label in labels:
        yield from _rightly_made(case, label, addresses, clients)
    last = {label.key: label for label in labels}
    for key in {record.key for record in case.of("addresses")}:
        yield from _as_it_is_now(case, key, last.get(key), addresses, clients)


def _rightly_made(case: Case, label: Seen, addresses: Versions, clients: Versions) -> Iterator[Violation]:
    """A label has an address that existed, and a row that its client had, not older than what was known."""
    if label.value is None:
        return
    label_at = f"{label.topic}/{label.partition}/{label.offset}: {label.value}"
    address = {name: value for name, value in label.value.items() if name != "client"}
    if addresses.used(label.key, address) is None:
        yield Violation("invented", f"{label_at} has no address")
    client = address["client_id"]
    used = clients.used(client, label.value["client"])
    if used is None:
        yield Violation("misjoined", f"{label_at} has a row that {client} never had")
    elif (made := _joined_at(case, label)) is None:
        yield Violation("invented", f"{label_at} was never joined")
    elif used not in clients.possible(client, measured_since(case.history.eras, made), made + CLOCK_SECONDS):
        yield Violation("misjoined", f"{label_at} has a row that {client} had lost when its worker measured its tables")


def _joined_at(case: Case, label: Seen) -> float | None:
    """Return the time at which the join made a label. Another process may publish it long after."""
    joined = case.of(f"{case.prefix}.labels.joined")
    same = (each.appended for each in joined if each.key == label.key and each.value == label.value)
    return max((at for at in same if at <= label.appended), default=None)


def _as_it_is_now(
    case: Case, key: str, label: Seen | None, addresses: Versions, clients: Versions
) -> Iterator[Violation]:
    """Once the system is idle, a label has the newest address or is absent for a reason.

    While an address waits for its client, its previous label remains.
    """
    address = addresses.last(key)
    row = label.value if label is not None else None
    if row is not None and address.row is None:
        yield Violation("lost", f"labels: the deletion of {key}, which still has {row}")
    elif row is not None and row["revision"] != address.revision:
        if waits(case.plan) and address.row is not None and clients.last(address.row["client_id"]).row is None:
            return
        yield Violation("lost", f"labels: revision {address.revision} of {key}, which still has {row}")
    elif row is None and address.row is not None:
        client = address.row["client_id"]
        # Rows pass through a mirror by another way than addresses, and may come a little later than one behind them.
        since = address.sent - (PASSING_SECONDS if case.mirrored else 0.0)
        reason = clients.last(client).row is None if waits(case.plan) else clients.ever_absent(client, since)
        if not reason:
            yield Violation("lost", f"labels: {key} has none, although its client exists: {address.row}")
