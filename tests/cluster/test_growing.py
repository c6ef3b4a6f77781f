"""Topics that get new partitions: inputs that depend on them are held back, and nothing is lost or invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cluster.stages import Stage, create_again, customer, order
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, grow, read, send, until, until_count
from tests.support.workers import Worker, running

COUNTING = """
from larder import EventTopic, OwnerTopic, Row, Service


class Flight(Row):
    flight_id: str
    tailnum: str


class Mileage(Row):
    tailnum: str
    flights: int = 0
    revision: int = 0


flights = EventTopic("{prefix}.flights", Flight, key="flight_id", owner="tower")
mileages = OwnerTopic("{prefix}.mileages", Mileage, key="tailnum", revision="revision", owner="{prefix}")
service = Service("{prefix}")
state = service.table(mileages)


@service.fold(flights.by("tailnum"), state=state)
def count(flight: Flight, row: Mileage | None) -> Mileage:
    return Mileage(tailnum=flight.tailnum, flights=1 + (row.flights if row else 0))
"""

NATIVE = """
class Call(Row):
    customer_id: str
    order_id: str


class Answered(Call):
    customer: Customer | None


calls = EventTopic("{prefix}.calls", Call, key="customer_id", owner="checkout")
held = service.table(customers)
answered = EventTopic("{prefix}.answered", Answered, key="order_id")
service.join(calls, held, into=answered, missing={missing})
"""

PLANES = [f"N{number}" for number in range(40)]


class Flights:
    """A service that counts flights by plane."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.kafka, self.prefix, self.beside = kafka, prefix, beside
        self.state = f"{prefix}.mileages"
        self._sent = 0
        beside.call(create(kafka, {f"{prefix}.flights": 2}))
        self.worker = Worker(kafka, directory, COUNTING.replace("{prefix}", prefix), prefix)

    def fly(self, planes: list[str]) -> None:
        ids = range(self._sent, self._sent + len(planes))
        self._sent += len(planes)
        rows = [(f"f{at}", {"flight_id": f"f{at}", "tailnum": plane}) for at, plane in zip(ids, planes, strict=True)]
        self.beside.call(send(self.kafka, f"{self.prefix}.flights", rows))

    def published(self) -> list[tuple[str, int]]:
        """Return the plane and the number of flights of each published row."""
        return sorted(_counted(record.value) for record in self.beside.call(read(self.kafka, self.state)))

    def until_published(self, rows: list[tuple[str, int]]) -> None:
        async def there() -> bool:
            return set(rows) <= {_counted(record.value) for record in await read(self.kafka, self.state)}

        self.beside.call(until(there, 30, f"{len(rows)} rows"))


def test_a_state_that_gets_new_partitions_while_it_runs_keeps_its_old_partition_count(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    flights = Flights(kafka, prefix, beside, tmp_path)
    worker, once, twice = flights.worker, sorted((each, 1) for each in PLANES), [(each, 2) for each in PLANES]
    with running(worker):
        worker.until_running()
        flights.fly(PLANES)
        flights.until_published(once)
        beside.call(grow(kafka, flights.state, 6))
        said = worker.until_logged(r"WARNING .*topic \S+mileages: requires the 4 partitions .*")
        assert f"found 6; add no partitions to a topic of the service; create {flights.state} again" in said
        status = worker.until(lambda status: bool(status["held_back"]), what="held back")
        assert "found 6" in status["held_back"][0]
        flights.fly(PLANES)
        worker.until(lambda status: _behind(status, "tailnum") >= len(PLANES), what="flights that are held back")
        assert flights.published() == once
        assert worker.row(flights.state, "N7")[1]["row"]["flights"] == 1, "reads must continue"
        assert worker.get("/health/live")[0] == 200
        assert worker.stop() == 0
        worker.start()
        worker.until(lambda status: bool(status["held_back"]), what="held back after a restart")
        assert flights.published() == once
        assert worker.stop() == 0
        # Follow the advice: nothing was lost.
        rows = [
            Sent(each.key, each.value, headers=list(each.headers)) for each in beside.call(read(kafka, flights.state))
        ]
        beside.call(create_again(kafka, flights.state, 4, COMPACTED))
        beside.call(send(kafka, flights.state, rows))
        worker.start()
        flights.until_published(twice)
        assert flights.published() == sorted(once + twice)
        assert worker.stop() == 0


@pytest.mark.parametrize("grown", [("calls", "customers"), ("customers",), ("calls",)], ids="-".join)
def test_a_native_join_whose_topics_grew_between_two_runs_is_held_back(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, grown: tuple[str, ...]
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=4)
    stage.create("calls")
    people = [f"c{number}" for number in range(40)]
    stage.send("customers", [customer(each) for each in people])
    worker = stage.worker(NATIVE, missing="PassOn")
    with running(worker):
        worker.until_running()
        stage.send("calls", [Sent(each, order(f"first-{each}", each)[1]) for each in people])
        beside.call(until_count(kafka, stage.name("answered"), len(people)))
        assert worker.stop() == 0
        for topic in grown:
            beside.call(grow(kafka, stage.name(topic), 8))
        worker.start()
        stage.send("calls", [Sent(each, order(f"second-{each}", each)[1]) for each in people])
        for topic in grown:
            worker.until_logged(rf"WARNING .*topic {stage.name(topic)}: requires the 4 partitions .*; found 8; .*")
        worker.until(lambda status: _behind(status, "calls") >= len(people), what="calls that are held back")
        assert len(stage.read("answered")) == len(people), "no customer may count as missing"
        assert worker.row(stage.name("customers"), "c7")[0] == 200, "reads must continue"
        assert worker.stop() == 0
    new = stage.worker(NATIVE, missing="PassOn", name="two")
    with running(new):
        for topic in grown:
            new.until_logged(rf"WARNING .*topic {stage.name(topic)}: requires the 4 partitions .*; found 8; .*")
        new.until(
            lambda status: _behind(status, "calls") >= len(people), what="calls that are held back by a new worker"
        )
        assert new.stop() == 0
    assert len(stage.read("answered")) == len(people)
    assert not stage.letters(), "no earlier row may count as misplaced"


def _counted(value: bytes | None) -> tuple[str, int]:
    row = msgspec.json.decode(value or b"null")
    return row["tailnum"], row["flights"]


def _behind(status: dict[str, Any], topic: str) -> int:
    return sum(each["lag"] or 0 for each in status["inputs"] if topic in each["topic"])
