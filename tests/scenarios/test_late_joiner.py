"""System 5, a service that joins late: what it must read before it is complete, and how it reports its progress."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from larder.kafka.partitioner import partition_of
from tests.scenarios.conftest import Start
from tests.support.topics import COMPACTED, create, encoded, fill, read, send, until, until_count

AT_ONCE = COMPACTED | {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
"""A topic that is compacted within seconds."""

OTHERS = 40_000
"""The number of rows without orders."""

LATE = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        version: int

    class Order(Row):
        order_id: str
        customer_id: str

    class Enriched(Order):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    orders = EventTopic("{p}.orders", Order, key="customer_id", owner="checkout")
    shipped = EventTopic("{p}.shipped", Enriched, key="order_id")
    fulfilled = EventTopic("{p}.fulfilled", Enriched, key="order_id")

    shipping, fulfilment = Service("{p}.shipping"), Service("{p}.fulfilment")
    shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=shipped)
    fulfilment.join(orders, fulfilment.table(customers), into=fulfilled)
"""


@pytest.mark.scenario("5.1")
async def test_a_service_that_joins_late_is_complete_once_it_has_read_the_compacted_topic(
    kafka: str, prefix: str, start: Start
) -> None:
    customers = f"{prefix}.customers"
    await create(kafka, {customers: 2}, AT_ONCE)
    await create(kafka, {f"{prefix}.orders": 2})
    published = await _publish_and_compact(kafka, customers)
    orders = [{"order_id": f"o{number}", "customer_id": f"c{number}"} for number in range(1_000)]
    await send(kafka, f"{prefix}.orders", [(order["customer_id"], order) for order in orders])
    records = len(await read(kafka, customers))
    expected = {
        encoded(order | {"customer": published[order["customer_id"]]})
        for order in orders
        if order["customer_id"] in published
    }
    for service, joined in (("shipping", "shipped"), ("fulfilment", "fulfilled")):
        worker = start(LATE.format(p=prefix), f"{prefix}.{service}")
        enriched = await until_count(kafka, f"{prefix}.{joined}", 900)
        assert {encoded(order) for order in enriched} == expected
        letters = await until_count(kafka, f"{prefix}.{service}.dead-letters", 100)
        assert {order["order_id"] for order in letters} == {f"o{number}" for number in range(0, 1_000, 10)}
        (table,) = worker.until_caught_up()["tables"]
        assert table["rows"] == OTHERS + len(published)
        read_by_it = sum(table["counts"].values())
        # The broker may have compacted further meanwhile; no record is read twice.
        assert table["rows"] <= read_by_it <= records
        for key in ("c1", "c999"):
            assert worker.row(customers, key)[1]["row"] == published[key]


async def _publish_and_compact(kafka: str, topic: str) -> dict[str, dict[str, Any]]:
    """Write rows repeatedly, delete every tenth, let the broker compact, and return the remaining rows.

    The log then has gaps. The last rows come after so many others that an order could overtake them. The log ends with
    the markers of a committed and an aborted transaction, which are not records.
    """
    keys = [f"c{number}" for number in range(1_000)]
    for version in (1, 2, 3):
        await send(kafka, topic, _versions(keys, version))

    async def compacted() -> bool:
        # The next record closes a segment.
        await send(kafka, topic, [(key, None) for key in keys[::10]])
        return len(await read(kafka, topic)) < 2_000

    await until(compacted, 30, "the compaction of the topic")
    others = _versions([f"other {number}" for number in range(OTHERS)], 1)
    for partition in (0, 1):
        await fill(kafka, topic, partition, (each for each in others if partition_of(each[0].encode(), 2) == partition))
    kept = [key for key in keys if key not in keys[::10]]
    await _transaction(kafka, topic, _versions(kept, 4), commit=True)
    await _transaction(kafka, topic, _versions(keys, 5), commit=False)
    return dict(_versions(kept, 4))


def _versions(keys: Iterable[str], version: int) -> list[tuple[str, dict[str, Any]]]:
    return [(key, {"customer_id": key, "version": version}) for key in keys]


async def _transaction(kafka: str, topic: str, records: list[tuple[str, Any]], *, commit: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}.owner")
    await producer.start()
    try:
        await producer.begin_transaction()
        for key, value in records:
            await producer.send(topic, key=key.encode(), value=encoded(value))
        await producer.flush()
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


MANY = """
    from larder import OwnerTopic, Row, Service

    class Product(Row):
        product_id: str
        one: str
        two: str
        three: str
        four: str
        five: str

    products = OwnerTopic("{p}.products", Product, key="product_id", owner="catalogue",
                          indexes=["one", "two", "three", "four", "five"])
    service = Service("{p}.service")
    service.global_table(products)
"""

LINE = r"{table}: ([\d,]+) rows, ([\d,]+) rows/s, ([\d,]+) remaining, end expected in \d+ s"


@pytest.mark.scenario("5.4")
async def test_while_it_catches_up_a_worker_reports_rows_rate_remainder_and_expected_end(
    kafka: str, prefix: str, start: Start
) -> None:
    table, count = f"{prefix}.products", 100_000
    line = LINE.format(table=re.escape(table))
    await create(kafka, {table: 1}, COMPACTED)
    await fill(kafka, table, 0, ((f"p{number}", _product(number)) for number in range(count)))
    worker = start(MANY.format(p=prefix), f"{prefix}.service")
    first = worker.until(_recovering, what="a running recovery")["tables"][0]["progress"]
    assert first["applied"] + first["remaining"] <= count
    assert first["expected_s"] == pytest.approx(first["remaining"] / first["rate"], rel=0.01)
    for path in (f"/tables/{table}/rows/p{count - 1}", f"/tables/{table}/rows/nobody", f"/tables/{table}/rows?from="):
        status, answer = worker.get(path) or (0, {})
        assert (status, answer["type"], answer["state"]) == (503, "urn:larder:recovering", "recovering"), answer
        assert answer["end"] == count
        assert 0 <= answer["position"] < count
        assert answer["expected_end_s"] >= 0
    for path in (f"/tables/{table}", "/tables"):
        _, answer = worker.get(path) or (0, {})
        (shown,) = answer.get("tables", [answer])
        (partition,) = shown["partitions"]
        assert (partition["state"], partition["lag"]) == ("recovering", partition["end"] - partition["position"])
        assert shown["rows"] < count
    # Even on a fast machine, the recovery now takes more than a second, after which the worker logs a line.
    worker.signal(signal.SIGSTOP)
    await asyncio.sleep(1.1)
    worker.signal(signal.SIGCONT)
    rows, rate, remaining = (int(number.replace(",", "")) for number in re.findall(line, worker.until_logged(line))[0])
    assert first["applied"] <= rows <= count - remaining
    assert 0 < remaining <= first["remaining"]
    assert 0 < rate <= rows
    last = worker.until_caught_up()["tables"][0]
    assert (last["rows"], last["progress"]["remaining"], last["progress"]["expected_s"]) == (count, 0, 0.0)
    assert worker.row(table, f"p{count - 1}")[1]["row"] == _product(count - 1)
    assert worker.row(table, "nobody")[0] == 404


def _product(number: int) -> dict[str, str]:
    return {"product_id": f"p{number}"} | {name: f"{name} {number}" for name in ("one", "two", "three", "four", "five")}


def _recovering(status: dict[str, Any]) -> bool:
    progress = status["tables"][0]["progress"]
    return bool(progress["remaining"] and progress["expected_s"])
