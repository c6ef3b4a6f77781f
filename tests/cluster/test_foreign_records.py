"""Foreign records in the internal topics of a service end no worker, and do not affect other records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tests.cluster.stages import Stage
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, existing, read, send, until
from tests.support.workers import running

SERVICE = """
from datetime import UTC, datetime
from larder import Decision, Wake
from larder.types import WakeUp


class Address(Row):
    address_id: str
    customer_id: str
    revision: int


class Label(Address):
    customer: Customer


class Account(Row):
    customer_id: str
    orders: int = 0
    woken: int = 0
    revision: int = 0


addresses = OwnerTopic("{prefix}.addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("{prefix}.labels", Label, key="address_id", revision="revision", owner="{prefix}")
accounts = OwnerTopic("{prefix}.accounts", Account, key="customer_id", revision="revision", owner="{prefix}")
held = service.table(customers)
wait = Wait(seconds=600).then(DeadLetter)
service.join(addresses.by("customer_id"), held, into=labels, missing=wait)


@service.decide(orders.by("customer_id"), state=service.table(accounts))
def count(event: Order | WakeUp, row: Account | None) -> Decision:
    if isinstance(event, WakeUp):
        return Decision(rows=Account(customer_id=event.key, orders=row.orders, woken=row.woken + 1))
    orders = 1 if row is None else row.orders + 1
    row = Account(customer_id=event.customer_id, orders=orders, woken=0 if row is None else row.woken)
    return Decision(rows=row, wake=Wake(event.customer_id, datetime.now(UTC)))
"""

FOREIGN = [
    Sent(b"\xff\xfe", b"\x00\xff"),
    Sent(b"k", b""),
    Sent(b"k2", b"{}", headers=[("larder.revision", b"x"), ("larder.after", None)]),
    Sent(b"k3", b"[" * 5_000, headers=[("larder.after", b"9" * 5_000)]),
    Sent(b"k4", b'{"key":"azQ=","at":1e308}'),
    Sent(b"k5", b'{"key":"azU=","at":-1e308}'),
    Sent(b"k6", b'{"key":"azY=","by":"azY=","revision":99999999999999999999999}'),
    Sent(b"k7", b'{"id":"k7","offset":9223372036854775808,"timestamp":9223372036854775807,"deadline":-1e308,'
         b'"key":null,"value":"","headers":[]}'),
    Sent(b"k8", None, headers=[("larder.after", b"%d" % 2**64)]),
    Sent(b"k9", None, headers=[("larder.revision", None)]),
    Sent(b"k10", None),
]  # fmt: skip

PLACES = [
    Sent(b"a-c2", b'{"key":"YS1jMg==","by":"YzI=","revision":4611686018427387904}'),
    Sent(b"a-c3", b'{"key":"YS1jMw==","by":"YzM=","revision":4611686018427387904}'),
]
"""Well-formed places of rows that come later, which they must not hide."""

ROWS = [
    Sent(b"a-c2", b'{"address_id":"a-c2","customer_id":"none","revision":4611686018427387904,"customer":7}'),
    Sent(b"a-c2", b'{"customer_id":"none","revision":4611686018427387904}'),
    Sent(b"a-c2", b'{"address_id":"a-c2","customer_id":"c1"}'),
    Sent(b"a-c3", b'{"address_id":"x","customer_id":"c1","revision":4611686018427387904}'),
    Sent(b"a-c3", None, headers=[("larder.revision", b"4611686018427387904")]),
]
"""Invalid rows and foreign deletions with the keys of later rows and a huge revision."""

RESULTS = [
    Sent(key, value, headers=[("larder.revision", b"4611686018427387904")])
    for key, value in ((b"a-c2", b"garbage"), (b"a-c3", b'{"address_id":"a-c3","revision":1}'))
]


async def _write_into_each(kafka: str, prefix: str) -> list[str]:
    own = {f"{prefix}.{name}" for name in ("customers", "orders", "addresses", "labels", "accounts", "joined")}
    internal = [name for name in await existing(kafka, prefix) if name not in own]
    for name in internal:
        nulls = (
            []
            if name.endswith((".waiting", ".wake-ups", ".keys", ".growth")) or ".addresses.by" in name
            else [Sent(None, b"{")]
        )
        foreign = [*FOREIGN, *nulls, *_pointed_at(name)]
        await send(kafka, name, [*(each._replace(partition=0) for each in foreign)])
    return internal


def _pointed_at(name: str) -> list[Sent]:
    """Return the records that could hide later ones."""
    if name.endswith(".keys"):
        return PLACES
    if name.endswith(".joined"):
        return RESULTS
    return ROWS if ".addresses.by" in name else []


def test_foreign_records_in_internal_topics_end_no_worker_and_lose_no_record(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.create("addresses", COMPACTED)
    worker = stage.worker(SERVICE)
    with running(worker):
        worker.until_running()
        _publish(stage, "c1")
        _until_processed(stage, ["c1"])
        internal = beside.call(_write_into_each(kafka, prefix))
        assert all(kind in map(_pointed_at, internal) for kind in (PLACES, ROWS, RESULTS)), internal
        kinds = {name.rsplit(".", 1)[-1] for name in internal}
        assert len(internal) >= 7, internal
        assert {"waiting", "wake-ups", "dead-letters"} <= kinds, internal
        _publish(stage, "c2")
        _until_processed(stage, ["c1", "c2"])
        assert worker.stop() == 0
    again = stage.worker(SERVICE, name="two")
    with running(again):
        again.until_running()
        _publish(stage, "c3")
        _until_processed(stage, ["c1", "c2", "c3"])
        assert again.stop() == 0
    named = {
        dict(record.headers)["larder.topic"].decode()
        for record in stage.read("dead-letters")
        if "larder.topic" in dict(record.headers)
    }
    kept = {name for name in internal if name.rsplit(".", 1)[-1] in {"dead-letters", "refusals", "growth"}}
    assert named >= set(internal) - kept, "each topic that is read needs a dead letter"


def _publish(stage: Stage, customer: str) -> None:
    stage.send("customers", [(customer, {"customer_id": customer, "revision": 1})])
    stage.send(
        "addresses", [(f"a-{customer}", {"address_id": f"a-{customer}", "customer_id": customer, "revision": 1})]
    )
    stage.send("orders", [(f"o-{customer}", {"order_id": f"o-{customer}", "customer_id": customer})])


def _until_processed(stage: Stage, customers: list[str]) -> None:
    async def done() -> bool:
        labels = {each["address_id"] for each in await _decoded(stage, "labels")}
        woken = {each["customer_id"] for each in await _decoded(stage, "accounts") if each["woken"] == 1}
        return all(f"a-{each}" in labels and each in woken for each in customers)

    stage.beside.call(until(done, 30, f"the results of {customers}"))


async def _decoded(stage: Stage, topic: str) -> list[dict[str, Any]]:
    """Return the rows of a topic without the foreign records."""
    values = [record.value or b"" for record in await read(stage.kafka, stage.name(topic))]
    return [msgspec.json.decode(value) for value in values if value.startswith(b'{"')]
