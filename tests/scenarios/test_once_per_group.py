"""System 6, once per application group: each application gets every event, and one of its workers handles it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.scenarios.conftest import Start
from tests.support.topics import COMPACTED, create, ends, rows, send
from tests.support.workers import until_read

TWO_APPLICATIONS = """
    import os
    from pathlib import Path

    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Customer(Row):
        customer_id: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Handled(Row):
        order_id: str
        worker: int

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    handled = EventTopic("{p}.handled", Handled, key="order_id")

    shipping = Service("{p}.shipping")

    @shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=handled, missing=PassOn)
    def handle(order: Order, customer: Customer | None) -> Handled:
        return Handled(order_id=order.order_id, worker=os.getpid())

    audit = Service("{p}.audit")

    @audit.agent(orders)
    async def note(batches):
        with Path(f"noted-{{os.getpid()}}").open("a", buffering=1) as notes:
            async for batch in batches:
                for order in batch.rows():
                    notes.write(order.order_id + "\\n")
"""


@pytest.mark.scenario("6.1")
async def test_exactly_one_worker_of_each_of_two_applications_handles_an_event(
    kafka: str, prefix: str, tmp_path: Path, start: Start
) -> None:
    await create(kafka, {f"{prefix}.customers": 1}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 4})
    module = TWO_APPLICATIONS.format(p=prefix)
    applications = [
        [start(module, f"{prefix}.{service}", name) for name in ("one", "two")] for service in ("shipping", "audit")
    ]
    for worker in (worker for workers in applications for worker in workers):
        worker.until_shared(2)
    names = [f"o{number}" for number in range(2_000)]
    await send(kafka, f"{prefix}.orders", [(name, {"order_id": name, "customer_id": "c"}) for name in names])
    end = await ends(kafka, f"{prefix}.orders")
    for workers in applications:
        until_read(workers, f"{prefix}.orders", end)
    handled = await rows(kafka, f"{prefix}.handled")
    by_shipping = {
        worker.process.pid: [each["order_id"] for each in handled if each["worker"] == worker.process.pid]
        for worker in applications[0]
    }
    by_audit = {
        worker.process.pid: (tmp_path / f"noted-{worker.process.pid}").read_text().split() for worker in applications[1]
    }
    for shares in (by_shipping, by_audit):
        assert all(shares.values()), "each worker must have a share"
        assert Counter(name for share in shares.values() for name in share) == Counter(names)
    assert len(handled) == len(names)
