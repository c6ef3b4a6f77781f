"""Invalid committed offsets: a worker does not guess where to continue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.topics import Sent, create, delete, forget_offsets, rows, send, until_count
from tests.support.workers import Worker, running

MODULE = """
    from larder import Drop, EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Shipment(Order):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="{p}")
    orders = EventTopic("{p}.orders", Order, key="order_id")
    shipments = EventTopic("{p}.shipments", Shipment, key="order_id", owner="{p}")

    shipping = Service("{p}")
    shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=shipments, missing=Drop)
"""


@pytest.mark.parametrize(("inputs_from", "joined"), [("earliest", ["o1", "o2"]), ("latest", ["o1"])])
async def test_a_recreated_input_is_refused_until_the_operator_says_where_to_read(
    kafka: str, prefix: str, tmp_path: Path, inputs_from: str, joined: list[str]
) -> None:
    module = MODULE.format(p=prefix)
    await create(kafka, {f"{prefix}.orders": 1})
    before = Worker(kafka, tmp_path, module, prefix)
    with running(before):
        before.until_running()
        await send(kafka, f"{prefix}.customers", [Sent("c1", {"customer_id": "c1"})])
        before.until(lambda status: status["tables"][0]["rows"] == 1, what="the customer")
        await send(kafka, f"{prefix}.orders", [Sent("o1", {"order_id": "o1", "customer_id": "c1"})])
        await until_count(kafka, f"{prefix}.shipments", 1)
        assert before.stop() == 0
    await delete(kafka, f"{prefix}.orders")
    await create(kafka, {f"{prefix}.orders": 1})
    await send(kafka, f"{prefix}.orders", [Sent("o2", {"order_id": "o2", "customer_id": "c1"})])

    refused = Worker(kafka, tmp_path, module, prefix)
    with running(refused):
        assert refused.exit_code() == 3
        assert f"larder: input {prefix}.orders, partition 0: a service continues from the offset" in refused.text
        assert "found another topic of that name" in refused.text
        assert "start once with --inputs-from earliest" in refused.text
        assert "Traceback" not in refused.text

    resumed = Worker(kafka, tmp_path, module, prefix, arguments=("--inputs-from", inputs_from))
    with running(resumed):
        resumed.until_caught_up()
        if inputs_from == "earliest":
            await until_count(kafka, f"{prefix}.shipments", 2)
        assert resumed.stop() == 0
    assert sorted(row["order_id"] for row in await rows(kafka, f"{prefix}.shipments")) == joined


async def test_lost_offsets_are_refused_until_the_operator_says_where_to_read(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    module = MODULE.format(p=prefix)
    await create(kafka, {f"{prefix}.orders": 1})
    worker = Worker(kafka, tmp_path, module, prefix)
    with running(worker):
        worker.until_running()
        await send(kafka, f"{prefix}.customers", [Sent("c1", {"customer_id": "c1"})])
        worker.until(lambda status: status["tables"][0]["rows"] == 1, what="the customer")
        await send(kafka, f"{prefix}.orders", [Sent("o1", {"order_id": "o1", "customer_id": "c1"})])
        await until_count(kafka, f"{prefix}.shipments", 1)
        assert worker.stop() == 0
        await forget_offsets(kafka, prefix)
        await send(kafka, f"{prefix}.orders", [Sent("o2", {"order_id": "o2", "customer_id": "c1"})])
        worker.start()
        assert worker.exit_code() == 3
        assert f"larder: input {prefix}.orders, partition 0: a service continues from the offset" in worker.text
        assert "found none, though this service has committed before; start once with --inputs-from" in worker.text
        assert "Traceback" not in worker.text
    resumed = Worker(kafka, tmp_path, module, prefix, arguments=("--inputs-from", "earliest"))
    with running(resumed):
        await until_count(kafka, f"{prefix}.shipments", 3)
        resumed.until_caught_up()
        assert resumed.stop() == 0
    assert sorted(row["order_id"] for row in await rows(kafka, f"{prefix}.shipments")) == ["o1", "o1", "o2"]
