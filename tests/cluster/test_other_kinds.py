"""A kind of operator that only this test defines runs in a worker, and is shown wherever others are."""

from __future__ import annotations

import json

from tests.cluster.shops import Shop
from tests.support.topics import until_count
from tests.support.workers import larder, running

# The content of two files: what a user declares, and what a worker builds from it.
COPYING = """
from dataclasses import dataclass

from larder.assembly.operator_plan import OperatorPlan, build, plan_operator
from larder.declaring.operators import Operator


@dataclass(eq=False)
class Copying(Operator):
    source: EventTopic
    into: EventTopic

    kind = "copying"

    @property
    def name(self):
        return self.into.name

    def reads(self):
        return (self.source,)

    def writes(self):
        return (self.into,)


@dataclass(frozen=True)
class CopyingPlan(OperatorPlan):
    operator: Copying
    inputs: tuple[str, ...]


@plan_operator.register
def _plan(operator: Copying, service, facts):
    return CopyingPlan(operator, (operator.source.name,))


class CopyingStep:
    def __init__(self, plan, at):
        self.output = at.output(plan.operator.into.name)
        self.results = at.results(plan.operator)
        self.dead_letters = at.dead_letters()
        self.delivery = at.delivery
        self.partition = at.tp.partition

    def process(self, records):
        for record in records:
            if b"poison" in (record.value or b""):
                self.results["parked"] += 1
                self.dead_letters.add(record, "poison is not copied")
                continue
            self.results["copied"] += 1
            self.delivery.emit(self.output, self.partition, record.key, record.value, record.timestamp)

    def busy(self):
        return False


@build.register
def _build(plan: CopyingPlan, at) -> CopyingStep:
    return CopyingStep(plan, at)


copies = EventTopic("{prefix}.copies", Order, key="order_id", owner="{prefix}")
service.add(Copying(orders, copies))
"""


def test_a_kind_of_two_files_runs_in_a_worker_and_is_in_status_metrics_topology_page_and_commands(shop: Shop) -> None:
    copies = f"{shop.prefix}.copies"
    worker = shop.worker(shop.module(COPYING.replace("{prefix}", shop.prefix)))

    def said(command: str) -> str:
        return larder(command, kafka=shop.kafka, directory=shop.directory, module=worker.module).stdout

    with running(worker):
        worker.until_running()
        orders = shop.order(20)
        shop.order_as("poison")
        worker.until(
            lambda status: (
                status["operators"] == [{"kind": "copying", "name": copies, "counts": {"copied": 20, "parked": 1}}]
            ),
            what="the copied records",
        )
        made = shop.beside.call(until_count(shop.kafka, copies, 20))
        assert sorted(row["order_id"] for row in made) == sorted(orders)
        assert worker.metrics()["larder_operator_records_total", "copying", copies, "copied"] == 20
        _, drawn = worker.get("/topology") or (0, {})
        assert [each["name"] for each in drawn["nodes"] if each["kind"] == "copying"] == [copies]
        assert "copied <b>20</b>" in worker.page("/")
        assert f"copying {shop.prefix}.orders into {copies}" in said("services")
        assert [copies, "one", "20", "1"] in [line.split() for line in said("joins").splitlines()]
        assert worker.stop() == 0
    (letter,) = shop.dead_letters()
    assert dict(letter.headers)["larder.step"] == f"copying {copies}".encode()
    assert json.loads(letter.value or b"")["order_id"] == "poison"
