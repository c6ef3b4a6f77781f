"""System 3, order collaboration: one service changes the state of an order, and refuses illegal changes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cluster.stocks import judge_chain
from tests.scenarios.conftest import Start
from tests.support.topics import Sent, create, read, rows, send, until, until_count
from tests.support.workers import larder

ORDERS = """
    from larder import Decision, EventTopic, OwnerTopic, Row, Service

    STEPS = {{None: "Requested", "Requested": "Validated", "Validated": "Paid", "Paid": "Confirmed"}}

    class Happened(Row):
        order_id: str
        state: str

    class Order(Row):
        order_id: str
        state: str
        revision: int = 0

    happened = EventTopic("{p}.happened", Happened, key="order_id")
    orders = OwnerTopic("{p}.orders", Order, key="order_id", revision="revision", owner="{p}.orders")
    confirmed = EventTopic("{p}.confirmed", Happened, key="order_id", owner="{p}.orders")

    service = Service("{p}.orders")

    @service.decide(happened, state=service.table(orders), into=confirmed)
    def step(event: Happened, order: Order | None) -> Decision:
        state = order.state if order else None
        if event.state not in {{STEPS.get(state), "Rejected"}} or state in {{"Confirmed", "Rejected"}}:
            return Decision(refuse=f"no order goes from {{state}} to {{event.state}}")
        after = Order(order_id=event.order_id, state=event.state)
        return Decision(rows=after, emit=event if event.state == "Confirmed" else ())

    follower = Service("{p}.page")
    follower.global_table(orders)
"""

THIEF = """
    thief = Service("{p}.thief")
    thief.decide(happened, state=thief.table(orders))(lambda event, order: None)
"""


def event(order: str, state: str) -> Sent:
    return Sent(order, {"order_id": order, "state": state})


@pytest.mark.scenario("3.4")
async def test_an_illegal_change_of_state_is_refused_and_recorded(kafka: str, prefix: str, start: Start) -> None:
    await create(kafka, {f"{prefix}.happened": 4})
    module = ORDERS.format(p=prefix)
    owner = start(module, f"{prefix}.orders")
    page = start(module, f"{prefix}.page")
    owner.until_running()
    legal = [event("o1", state) for state in ("Requested", "Validated", "Paid", "Confirmed")]
    await send(
        kafka, f"{prefix}.happened", [*legal, event("o1", "Paid"), event("o2", "Requested"), event("o2", "Paid")]
    )
    refused = await until_count(kafka, f"{prefix}.orders.refusals", 2)
    assert {(row["key"], row["reason"], row["event"]["state"]) for row in refused} == {
        ("o1", "no order goes from Confirmed to Paid", "Paid"),
        ("o2", "no order goes from Requested to Paid", "Paid"),
    }
    assert [row["order_id"] for row in await rows(kafka, f"{prefix}.confirmed")] == ["o1"]
    records = await read(kafka, f"{prefix}.orders")
    judge_chain(records)
    assert [msgspec.json.decode(record.value)["state"] for record in records if record.key == b"o1"] == [
        "Requested",
        "Validated",
        "Paid",
        "Confirmed",
    ]
    await until(lambda: page.row(f"{prefix}.orders", "o2")[0] == 200, 15, "the follower to have o2")
    assert page.row(f"{prefix}.orders", "o2")[1]["row"] == owner.row(f"{prefix}.orders", "o2")[1]["row"]


@pytest.mark.scenario("3.4")
async def test_no_other_service_changes_the_state_of_an_order(kafka: str, prefix: str, tmp_path: Path) -> None:
    await create(kafka, {f"{prefix}.happened": 4})
    ended = larder(
        "worker", f"{prefix}.thief", kafka=kafka, directory=tmp_path, module=(ORDERS + THIEF).format(p=prefix)
    )
    assert ended.returncode == 2
    assert f"service {prefix}.thief into {prefix}.orders: only the owner of a topic writes it" in ended.stderr
