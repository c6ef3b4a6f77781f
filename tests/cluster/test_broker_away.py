"""A broker that goes away while a worker runs, and one that refuses the worker's session timeout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from tests.support.topics import COMPACTED, create, send
from tests.support.workers import Worker, running

MODULE = """
    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Customer(Row):
        customer_id: str
        name: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Shipment(Order):
        customer: Customer | None

    customers = OwnerTopic("customers", Customer, key="customer_id")
    orders = EventTopic("orders", Order, key="order_id")
    shipments = EventTopic("shipments", Shipment, key="order_id", owner="shipping")

    shipping = Service("shipping")
    shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=shipments, missing=PassOn)
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    """Yield the test's own broker, with topics, that accepts sessions from one second on."""
    broker = LocalBroker(tmp_path / "broker", free_port(), properties={"group.min.session.timeout.ms": "1000"})
    try:
        await _start(broker)
        await create(broker.bootstrap, {"orders": 2})
        await create(broker.bootstrap, {"customers": 2}, COMPACTED)
        yield broker
    finally:
        broker.stop()


async def test_tables_and_joins_continue_when_the_broker_comes_back_and_the_log_stays_short(
    broker: LocalBroker, tmp_path: Path
) -> None:
    worker = Worker(broker.bootstrap, tmp_path, MODULE, "shipping")
    with running(worker):
        worker.until_running()
        await asyncio.to_thread(broker.stop)
        worker.until_logged("table customers partition 0: disconnected")
        await _start(broker)
        await send(broker.bootstrap, "customers", [("c1", {"customer_id": "c1", "name": "Ada"})])
        worker.until(lambda status: status["tables"][0]["rows"] == 1, what="the row that came after the broker")
        await send(broker.bootstrap, "orders", [("o1", {"order_id": "o1", "customer_id": "c1"})])
        worker.until(
            lambda status: status["joins"][0]["counts"]["joined"] == 1, what="the order that came after the broker"
        )
        # A few lines for each change of state; Kafka's client alone would log eighty a second.
        assert len(worker.text.splitlines()) < 40, worker.text


async def test_a_session_timeout_that_the_broker_refuses_ends_the_worker_with_advice(
    broker: LocalBroker, tmp_path: Path
) -> None:
    worker = Worker(broker.bootstrap, tmp_path, MODULE, "shipping", environment={"LARDER_SESSION_TIMEOUT_S": "0.5"})
    with running(worker):
        assert worker.exit_code() == 3
        assert "larder: setting session_timeout_s: requires a value that the broker accepts" in worker.text
        assert "found 0.5, which it refuses; raise it" in worker.text


async def _start(broker: LocalBroker) -> None:
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(broker.wait_ready)
