"""What a worker reports while it works, hangs, waits or has no broker: health, quality of joins, metrics."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from larder.observability.metrics.catalogue import METRICS
from tests.cluster.stages import GLOBAL, Stage, customer, order
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, grow, hanging, send, until
from tests.support.workers import Worker, running

STALL = "1"  # seconds, instead of 30

HANGING_AGENT = """
@service.agent(orders)
async def audit(batches):
    import asyncio
    async for batch in batches:
        await asyncio.Event().wait()
"""

BLOCKING_JOIN = """
held = service.global_table(customers)

@service.join(orders, held.on("customer_id"), into=joined)
def blocked(order: Order, customer: Customer) -> Joined:
    import time
    while True:
        time.sleep(1)
"""

VISITS = """
class Visits(Row):
    customer_id: str
    count: int
    revision: int = 0


visits = OwnerTopic("{prefix}.visits", Visits, key="customer_id", revision="revision", owner="{prefix}")
counted = service.table(visits)


@service.fold(orders.by("customer_id"), state=counted)
def visit(order: Order, row: Visits | None) -> Visits:
    return Visits(customer_id=order.customer_id, count=1 if row is None else row.count + 1)
"""


def test_a_worker_whose_agent_hangs_is_not_live_and_names_the_agent(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(HANGING_AGENT, stall_s=STALL)
    with running(worker):
        worker.until_running()
        assert _live(worker)[0] == 200
        stage.send("orders", [order("o1")])
        (reason,) = _until_live_is(worker, 503)["reasons"]
        assert (reason["input"], reason["partition"], reason["lag"]) == (stage.name("orders"), 0, 1)
        assert reason["still_s"] >= 1
        assert worker.get("/health/ready") is not None
        assert (worker.get("/health/ready") or (0, {}))[0] == 200, "it can still answer requests"


def test_the_first_request_reports_earlier_stalls_and_current_rates(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker("held = service.global_table(customers)\n", HANGING_AGENT, stall_s=STALL)
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("o1")])
        worker.until_logged(rf"not live: {re.escape(stage.name('orders'))}, partition 0: its position has not moved")
        status, (reason,) = _live(worker)
        assert (status, reason["lag"]) == (503, 1)
        _, topology = worker.get("/topology") or (0, {})
        rates = {each["name"]: each["rate"] for each in topology["nodes"] if each["kind"] == "table"}
        assert rates == {stage.name("customers"): 0.0}


def test_a_worker_whose_join_blocks_forever_gives_no_answer(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(BLOCKING_JOIN, stall_s=STALL)
    with running(worker):
        worker.until_running()
        assert _live(worker)[0] == 200
        stage.send("orders", [order("o1")])
        deadline = time.monotonic() + 20
        while worker.get("/health/live") is not None:
            assert time.monotonic() < deadline, "a blocked worker still answers"


def test_a_working_worker_is_live_even_with_a_short_limit(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(GLOBAL, stall_s=STALL)
    with running(worker):
        worker.until_running()
        for number in range(20):
            stage.send("orders", [order(f"o{number}-{each}") for each in range(500)])
            assert _live(worker) == (200, [])
        worker.until_caught_up()
        assert worker.stop() == 0


def test_records_held_back_on_purpose_do_not_make_a_worker_unhealthy(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(GLOBAL, missing="Wait(seconds=60).then(DeadLetter)", stall_s=STALL)
    with running(worker):
        worker.until_running()
        beside.call(grow(kafka, stage.name("orders"), 2))
        worker.until_logged("its records are held back")
        stage.send("orders", [Sent("o1", order("o1")[1], partition=1)])
        deadline = time.monotonic() + 10
        while not (besides := (worker.get("/health/live") or (0, {}))[1].get("besides")):
            assert time.monotonic() < deadline, "the partition that is held back reports no reason"
        assert besides[0]["why"].startswith(f"held back: input {stage.name('orders')}, partition 1: its joins require")
        until = time.monotonic() + 2 * float(STALL)
        while time.monotonic() < until:
            assert _live(worker)[0] == 200
        assert worker.stop() == 0


async def test_a_partition_behind_a_foreign_open_transaction_names_it_and_the_worker_stays_healthy(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = await asyncio.to_thread(Stage, kafka, prefix, beside, tmp_path)
    worker = stage.worker(VISITS, stall_s="8")
    with running(worker):
        await asyncio.to_thread(worker.until_running)
        row = b'{"customer_id":"c1","count":7,"revision":7}'
        async with hanging(kafka, stage.name("visits"), "billing", "c1", row):
            await asyncio.to_thread(worker.until_logged, "it is open: transactional id billing")
            statuses = set()
            until = time.monotonic() + 10
            while time.monotonic() < until:
                status, answer = await asyncio.to_thread(worker.get, "/health/live") or (0, {})
                statuses.add(status)
                await asyncio.sleep(0.2)
            assert statuses == {200}
            assert any("it is open: transactional id billing" in each["why"] for each in answer["besides"]), answer
        await asyncio.to_thread(worker.until_caught_up)
        assert await asyncio.to_thread(worker.stop) == 0


async def test_an_input_at_a_foreign_open_transaction_names_it_and_the_worker_stays_healthy(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = await asyncio.to_thread(Stage, kafka, prefix, beside, tmp_path)
    worker = stage.worker(GLOBAL, missing="DeadLetter", stall_s=STALL)
    with running(worker):
        await asyncio.to_thread(worker.until_running)
        async with hanging(kafka, stage.name("orders"), "billing", "o1"):
            await asyncio.to_thread(worker.until_logged, "it is open: transactional id billing")

            async def reported() -> str | None:
                status, answer = await asyncio.to_thread(worker.get, "/health/live") or (0, {})
                assert status == 200
                return next((each["why"] for each in answer["besides"] if each.get("input")), None)

            assert "it is open: transactional id billing" in (
                await until(reported, 10, "a report about the input") or ""
            )
        assert await asyncio.to_thread(worker.stop) == 0


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    """Yield the test's own broker."""
    broker = LocalBroker(tmp_path / "broker", free_port(), properties={"group.min.session.timeout.ms": "1000"})
    try:
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(broker.wait_ready)
        yield broker
    finally:
        broker.stop()


async def test_without_the_broker_a_worker_stays_healthy_and_serves_rows(
    broker: LocalBroker, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = await asyncio.to_thread(Stage, broker.bootstrap, prefix, beside, tmp_path)
    worker = stage.worker("held = service.global_table(customers)\n", HANGING_AGENT, stall_s=STALL)
    with running(worker):
        worker.until_running()
        await send(broker.bootstrap, stage.name("orders"), [order("o1")])
        await asyncio.to_thread(_until_live_is, worker, 503)
        await asyncio.to_thread(broker.stop)
        answer = await asyncio.to_thread(_until_live_is, worker, 200)
        assert [each["why"] for each in answer["besides"]] == ["the broker is away"]
        assert answer["phase"].startswith("waiting for the broker")
        status, answer = worker.get("/health/ready") or (0, {})
        assert (status, len(answer["besides"])) == (200, 1)


def test_a_worker_is_ready_once_its_tables_were_caught_up_and_its_group_is_joined(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(
        GLOBAL,
        'late = OwnerTopic("{prefix}.late", Customer, key="customer_id", revision="revision", owner="crm")\n',
        "service.global_table(late)\n",
    )
    with running(worker):
        worker.until(lambda _: "late" in worker.text, what="a report of the missing topic")
        status, answer = worker.get("/health/ready") or (0, {})
        assert status == 503
        assert {each.get("table") for each in answer["reasons"]} == {stage.name("customers"), stage.name("late"), None}
        assert _live(worker)[0] == 200, "a restart would not create the topic"
        beside.call(create(kafka, {stage.name("late"): 1}, COMPACTED))
        worker.until_running()
        assert (worker.get("/health/ready") or (0, {}))[0] == 200
        assert worker.stop() == 0


def test_the_worker_that_had_an_order_reports_why_it_was_not_joined(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(GLOBAL, missing="Wait(seconds=5).then(DeadLetter)")
    with running(worker):
        worker.until_running()
        stage.send("orders", [order(f"there{number}") for number in range(10)])
        stage.send("orders", [order("late", "c2"), order("never", "c9")])
        worker.until(lambda _: _join(worker)["missing"] == 2, what="waiting orders")
        stage.send("customers", [customer("c2")])
        (letter,) = stage.until_letters(1)
        worker.until(lambda status: status["joins"][0]["waiting"] == 0, what="no waiting orders")
        join = _join(worker)
        counts = {name: join[name] for name in ("hits", "missing", "waited", "released", "expired", "parked", "joined")}
        assert counts == {
            "hits": 10, "missing": 2, "waited": 2, "released": 1, "expired": 1, "parked": 1, "joined": 11,
        }  # fmt: skip
        samples = join["partitions"][0]["samples"]
        assert [(each["key"], each["reference"]) for each in samples["missing"]] == [("never", "c9"), ("late", "c2")]
        (expired,), (parked,) = samples["expired"], samples["parked"]
        assert (expired["key"], expired["reference"], expired["table"]) == ("never", "c9", stage.name("customers"))
        assert parked["id"].encode() == letter.record.key
        assert parked["cause"] == letter.cause
        joined, orders = stage.name("joined"), stage.name("orders")
        # 11 results, a dead letter, and two orders that waited.
        measured = _until_published(worker, 11 + 1 + 2 + 2)
        assert measured["larder_join_hits_total", joined, "0"] == 10
        assert measured["larder_input_records_total", "0", orders] == 12
        assert measured["larder_input_lag", "0", orders] == 0
        published = {name[1:]: value for name, value in measured.items() if name[0] == "larder_published_records_total"}
        assert sum(value for (_, topic), value in published.items() if topic == joined) == 11
        assert measured["larder_dead_letters_total",] == 1
        assert measured["larder_commit_seconds_count",] >= 1
        assert (measured["larder_live",], measured["larder_ready",]) == (1, 1)
        assert worker.stop() == 0


def test_a_worker_that_joins_waits_and_decides_reports_each_metric_of_the_catalogue(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(GLOBAL, VISITS, missing="Wait(seconds=60).then(DeadLetter)")
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("there"), order("early", "c2")])
        worker.until(lambda _: _join(worker)["waiting"] == 1, what="a waiting order")
        worker.until(lambda _: worker.row(stage.name("visits"), "c2")[0] == 200, what="the decided row")
        worker.until_caught_up()
        reported = {re.sub("_(bucket|sum|count)$", "", name) for name, *_ in worker.metrics()}
        # test_observer, test_agents, test_other_kinds, test_call_commands and test_remote_reads have the metrics of its
        # other features.
        without = {"larder_reaction_total", "larder_agent_records_total", "larder_operator_records_total"}
        without |= {"larder_remote_reads_total", "larder_headers_left_out_total"}
        without |= {each.name for each in METRICS if each.name.startswith(("larder_growth_", "larder_call"))}
        known = {metric.name for metric in METRICS} - without
        assert {name for name in reported if name.startswith("larder_")} == known


def _join(worker: Worker) -> dict[str, Any]:
    (join,) = (worker.get("/joins") or (0, {}))[1]["joins"]
    return join


def _live(worker: Worker) -> tuple[int, list[Any]]:
    status, answer = worker.get("/health/live") or (0, {"reasons": None})
    return status, answer["reasons"]


def _until_live_is(worker: Worker, status: int, timeout: float = 20) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while (answer := worker.get("/health/live") or (0, {}))[0] != status:
        assert time.monotonic() < deadline, f"waited {timeout} s for {status}; last {answer}\n{worker.text[-4000:]}"
        time.sleep(0.1)
    return answer[1]


def _until_published(worker: Worker, records: int, timeout: float = 20) -> dict[tuple[str, ...], float]:
    """Wait until `records` records are committed and counted, and return all metrics."""
    deadline = time.monotonic() + timeout
    while True:
        measured = worker.metrics()
        found = sum(value for name, value in measured.items() if name[0] == "larder_published_records_total")
        if found >= records and not any(value for name, value in measured.items() if name[0] == "larder_input_lag"):
            return measured
        assert time.monotonic() < deadline, f"waited {timeout} s for {records} records; last {measured}"
        time.sleep(0.1)
