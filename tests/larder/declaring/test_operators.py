"""A kind of operator that only this test knows appears in topics, checks, topology and runs in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from larder import EventTopic, OwnerTopic, Row, Service
from larder.counters.counts import Counts
from larder.counters.operator_counts import Results
from larder.declaring.checks.declarations import problems
from larder.declaring.facts import TopicFacts
from larder.declaring.operators import Edge, KeptTopic, Operator, Passage, Role, Topic, node, source_edges
from larder.declaring.partition_counts import partitions
from larder.declaring.problems import Problem
from larder.declaring.sources import Source, TableUse
from larder.declaring.topology import topics_of
from larder.doctor.audits.partners import partners
from larder.doctor.audits.sizes import limits
from larder.observability.outcomes import outcomes
from larder.observability.topology import topology
from larder.testing import Driver, MemoryRecord, run_in_memory
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory
from larder.worker.status import outcome_lists
from tests.support.audited import changed, sound

if TYPE_CHECKING:
    from larder.declaring.facts import Facts


class Order(Row):
    order_id: str


orders = EventTopic("orders", Order, key="order_id", owner="checkout")
rows = OwnerTopic("rows", Order, key="order_id", owner="checkout")
copies = EventTopic("copies", Order, key="order_id", owner="copying")


@dataclass(eq=False)
class Copying(Operator):
    """Publishes each record of a topic again."""

    source: EventTopic
    into: EventTopic
    table: TableUse

    kind = "copying"

    @property
    def name(self) -> str:
        return self.into.name

    def reads(self) -> Sequence[Source]:
        return (self.source,)

    def uses(self) -> Sequence[TableUse]:
        return (self.table,)

    def writes(self) -> Sequence[Topic]:
        return (self.into,)

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        yield self.source, self.table.topic

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        yield KeptTopic(f"{service}.copied", Role.REFUSALS, None, compacted=False)
        yield KeptTopic(f"{service}.marks", Role.WAITING, self.source, compacted=True)

    def passages(self, service: str) -> Iterator[Passage]:  # noqa: ARG002 - as all operators
        yield Passage(self.source.name, self.into.name)

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        if not isinstance(self.source, EventTopic):
            yield Problem(f"copying of {service.name}", "requires events", repr(self.source), "give it some")

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:  # noqa: ARG002 - as all operators
        if self.into.name == self.source.name:
            yield Problem(f"copying of {service.name}", "requires another topic", self.into.name, "name another one")

    def edges(self, service: str) -> Iterator[Edge]:
        yield from source_edges(service, self.source, node(self))
        yield Edge(node(self), f"topic:{self.into.name}", "copied")


class CopyingStep(MemoryStep):
    def __init__(self, copying: Copying, run: MemoryRun) -> None:
        self.inputs = {copying.source: self.take}
        self._copying = copying
        self._run = run

    def take(self, record: MemoryRecord) -> None:
        self._run.publish(self._copying.into, record.key, record.value, record.timestamp)


@open_in_memory.register
def _open(copying: Copying, run: MemoryRun) -> MemoryStep:
    return CopyingStep(copying, run)


def copying(into: EventTopic = copies) -> Service:
    service = Service("copying")
    service.add(Copying(orders, into, service.table(rows)))
    return service


def test_the_topics_of_a_new_kind_of_operator_are_those_of_the_service() -> None:
    found = {use.name: use for use in topics_of(copying())}
    assert {"orders", "orders.replays", "rows", "copies", "copying.copied"} <= {
        name.removeprefix("copying.") if name.endswith(".replays") else name for name in found
    }
    assert (found["copies"].roles, found["copies"].owned) == ((Role.OUTPUT,), True)
    assert found["copying.copied"].internal
    assert found["copying.marks"].compacted


def test_the_topics_of_a_new_kind_of_operator_meet_by_partition() -> None:
    facts = {"rows": TopicFacts(7, "compact", 1_000_000, "id")}
    assert partitions(copying(), orders, facts) == 7


def test_the_problems_of_a_new_kind_of_operator_are_found() -> None:
    (problem,) = [each for each in problems([copying(orders)]) if each.declared == "copying of copying"]
    assert problem.requires == "requires another topic"
    service = copying()
    service.operators[0].source = rows  # type: ignore[attr-defined]
    (problem,) = [each for each in problems([service]) if each.declared == "copying of copying"]
    assert problem.requires == "requires events"


def test_a_new_kind_of_operator_has_edges_in_the_topology() -> None:
    found = topology(copying(), {})
    assert {"id": "copying:copies", "kind": "copying", "name": "copies", "rate": None} in found["nodes"]
    assert {"from": "copying:copies", "to": "topic:copies", "label": "copied"} in found["edges"]


def test_a_new_kind_of_operator_runs_in_a_driver() -> None:
    with Driver(copying()) as driver:
        driver.send(orders, Order(order_id="o1"))
        assert driver.read_rows(copies) == [Order(order_id="o1")]


def test_a_new_kind_of_operator_runs_in_memory() -> None:
    result = run_in_memory(copying(), {orders: [Order(order_id="o1")]})
    assert [record.row for record in result[copies]] == [Order(order_id="o1")]
    assert result["copying.copied"] == []


def test_it_is_counted_by_result() -> None:
    (operator,) = copying().operators
    counts = Counts([operator])
    counts.of(operator, Results)["copied"] += 2
    said = outcome_lists(counts, {}, {})
    assert said["operators"] == [{"kind": "copying", "name": "copies", "counts": {"copied": 2}}]
    assert [(each["kind"], each["name"]) for each in outcomes(said)] == [("copying", "copies")]


def test_it_is_described_as_it_was_declared() -> None:
    (operator,) = copying().operators
    assert operator.sentence() == "copying orders with rows into copies"
    assert operator.outline() == {
        "kind": "copying", "name": "copies", "reads": ["orders"], "uses": ["rows"], "into": ["copies"],
    }  # fmt: skip


def test_doctor_compares_the_sizes_and_the_partitions_of_its_topics() -> None:
    system = sound(copying())
    assert set(limits(system, "orders")) == {"copies"}
    assert not list(partners(system))
    (found,) = partners(changed(system, "copying.marks", ends={0: 0}))
    assert (found.about, found.seen) == ("topic copying.marks", "1 partition; orders has 4")
