"""A service processes records in its own number of partitions, whatever numbers the owners of its topics chose."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from larder.kafka.partitioner import partition_of
from larder.worker.builds import read_mirror_time
from tests.cluster.stages import Stage, customer, order, table
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, delete, read_again, until, until_count
from tests.support.workers import Worker, running

JOINING = """
class Call(Row):
    customer_id: str
    order_id: str


class Answered(Call):
    customer: Customer | None


service = Service("{prefix}"{number})
calls = EventTopic("{prefix}.calls", Call, key="customer_id", owner="checkout")
held = service.table(customers)
answered = EventTopic("{prefix}.answered", Answered, key="order_id")
service.join(calls, held, into=answered, missing=PassOn)
"""

PEOPLE = [f"c{number}" for number in range(60)]


class Calls:
    """Calls in 4 partitions that are joined with customers in 6."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.stage = Stage(kafka, prefix, beside, directory, partitions=6)
        self.kafka, self.beside = kafka, beside
        beside.call(create(kafka, {self.stage.name("calls"): 4}))
        self._sent = 0

    def worker(self, name: str = "one", partitions: int | None = None, **settings: str) -> Worker:
        number = "" if partitions is None else f", partitions={partitions}"
        return self.stage.worker(JOINING.replace("{number}", number), name=name, **settings)

    def rename(self, revision: int) -> None:
        self.stage.send("customers", [customer(each, revision, name=f"{each} {revision}") for each in PEOPLE])

    def call(self) -> None:
        """Send a call of each customer."""
        self._sent += 1
        self.stage.send("calls", [Sent(each, order(f"{self._sent} {each}", each)[1]) for each in PEOPLE])

    def answers(self) -> list[dict[str, Any]]:
        """Wait for the answers to all calls."""
        self.beside.call(until_count(self.kafka, self.stage.name("answered"), self._sent * len(PEOPLE)))
        return [msgspec.json.decode(each.value or b"null") for each in self.stage.read("answered")]

    def names(self, call: int) -> set[str | None]:
        """Wait for the answers, and return the names that the customers of one round of calls had."""
        found = [each["customer"] for each in self.answers() if each["order_id"].startswith(f"{call} ")]
        assert len(found) == len(PEOPLE), "each call has one answer"
        return {None if each is None else each["name"] for each in found}


@pytest.fixture
def calls(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Calls:
    return Calls(kafka, prefix, beside, tmp_path)


def test_topics_with_different_partition_counts_are_joined(calls: Calls) -> None:
    calls.rename(1)
    calls.call()
    worker, other = calls.worker(), calls.worker("two")
    with running(worker, other):
        assert calls.names(1) == {f"{each} 1" for each in PEOPLE}
        calls.rename(2)
        for each in (worker, other):
            each.until_caught_up()
        assert worker.row(calls.stage.name("customers"), "c7")[1]["row"]["name"]
        status = worker.until_running()
        assert table(status, "customers")["held"] == "partition"
        assert worker.stop() == other.stop() == 0
    assert not calls.stage.letters()


def test_a_service_has_its_own_partition_count(calls: Calls) -> None:
    calls.rename(1)
    calls.call()
    workers = [calls.worker(name, partitions=5) for name in ("one", "two")]
    with running(*workers):
        assert calls.names(1) == {f"{each} 1" for each in PEOPLE}, "no call may be joined before its customer is there"
        name = calls.stage.name("customers")
        for each in PEOPLE[:10]:
            # While the second worker joins, a partition that moves has no worker that answers.
            found = partial(lambda key: workers[0].row(name, key)[0] == 200, each)
            calls.beside.call(until(found, 20, f"a worker that answers for {each}"))
            status, answer = workers[0].row(name, each)
            assert status == 200, answer
            assert (answer["table"], answer["row"]["name"]) == (name, f"{each} 1")
        calls.stage.send("customers", [Sent("c7", None)])
        calls.rename(2)
        for worker in workers:
            worker.kill()
        calls.call()
        for worker in workers:
            worker.start()
        assert calls.names(2) == {f"{each} 2" for each in PEOPLE}, "all rows must have passed through the mirror"
        calls.beside.call(
            until(lambda: workers[0].row(name, "no such")[0] == 404, 20, "certainty that there is no row")
        )
        for worker in workers:
            assert worker.stop() == 0
    assert not calls.stage.letters()


def test_a_worker_without_a_broker_finds_its_mirrored_rows(calls: Calls) -> None:
    calls.rename(1)
    worker = calls.worker(partitions=5)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
        worker.environment["KAFKA"] = "127.0.0.1:9"
        worker.start()

        async def found() -> bool:
            return worker.row(calls.stage.name("customers"), "c7")[0] == 200

        calls.beside.call(until(found, 20, "a row without a broker"))


ADDING = """
class Flight(Row):
    tailnum: str
    miles: int


class Mileage(Row):
    tailnum: str
    miles: int = 0
    revision: int = 0


service = Service("{prefix}", partitions=5)
flights = EventTopic("{prefix}.flights", Flight, key="tailnum", owner="tower")
mileages = OwnerTopic("{prefix}.mileages", Mileage, key="tailnum", revision="revision", owner="{prefix}")


@service.fold(flights, state=service.table(mileages))
def add(flight: Flight, row: Mileage | None) -> Mileage:
    return Mileage(tailnum=flight.tailnum, miles=flight.miles + (row.miles if row else 0))
"""


def test_a_state_is_published_in_the_partitions_that_its_topic_has(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    beside.call(create(kafka, {stage.name("flights"): 2}))
    beside.call(create(kafka, {stage.name("mileages"): 3}, COMPACTED))
    workers = [stage.worker(ADDING, name=name) for name in ("one", "two")]
    planes = [f"N{number}" for number in range(40)]
    flights = [Sent(each, {"tailnum": each, "miles": 10}) for each in planes]
    with running(*workers):
        for rounds in (1, 2, 3):
            stage.send("flights", flights)
            beside.call(until_count(kafka, stage.name("mileages"), rounds * len(planes)))
            for worker in workers:
                worker.kill() if rounds < 3 else worker.until_caught_up()
                worker.start() if rounds < 3 else None
        rows = {each.key.decode(): each for each in stage.read("mileages")}
        assert {msgspec.json.decode(each.value)["miles"] for each in rows.values()} == {30}
        assert all(each.partition == partition_of(each.key, 3) for each in rows.values())
        assert workers[0].row(stage.name("mileages"), "N7")[1]["row"]["miles"] == 30
        for worker in workers:
            assert worker.stop() == 0


def test_a_mirror_that_may_have_missed_deletions_is_refused_until_it_is_built_again(calls: Calls) -> None:
    stage, worker = calls.stage, calls.worker(partitions=5)
    calls.rename(1)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
        written = [each for record in stage.read("growth") if (each := read_mirror_time(record.value)) is not None]
        old = msgspec.structs.replace(written[-1], at=time.time() - 90_000)
        stage.send("growth", [Sent(old.key().decode(), old.encode())])
        worker.start()
        assert worker.exit_code() == 2
        assert "requires that" in worker.text
        assert "as long as it keeps deletions" in worker.text
        # Follow the advice.
        calls.beside.call(delete(calls.kafka, f"{stage.prefix}.{stage.name('customers')}.mirror"))
        calls.beside.call(read_again(calls.kafka, stage.prefix, stage.name("customers"), 6))
        calls.call()
        worker.start()
        assert calls.names(1) == {f"{each} 1" for each in PEOPLE}
        assert worker.stop() == 0


def test_mirrors_require_exactly_once(calls: Calls) -> None:
    worker = calls.worker(partitions=5, guarantee="at_least_once")
    with running(worker):
        assert worker.exit_code() == 2
        assert "a row that is mirrored twice could replace a newer one" in worker.text


def test_a_mirror_that_lacks_rows_is_refused(calls: Calls) -> None:
    stage, worker = calls.stage, calls.worker(partitions=5)
    calls.rename(1)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
        calls.beside.call(delete(calls.kafka, f"{stage.prefix}.{stage.name('customers')}.mirror"))
        worker.start()
        assert worker.exit_code() == 2
        assert f"requires all rows of {stage.name('customers')}; found a new topic" in worker.text


def test_a_state_with_rows_elsewhere_is_refused(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    beside.call(create(kafka, {stage.name("flights"): 2}))
    beside.call(create(kafka, {stage.name("mileages"): 3}, COMPACTED))
    stage.send("mileages", [Sent("N1", {"tailnum": "N1", "miles": 7, "revision": 1})])
    worker = stage.worker(ADDING)
    with running(worker):
        assert worker.exit_code() == 2
        assert f"requires its rows in {prefix}.{stage.name('mileages')}.rows, in 5 partitions" in worker.text


def test_a_later_partition_count_is_not_followed_and_said(calls: Calls) -> None:
    calls.rename(1)
    worker = calls.worker(partitions=5)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
    other = calls.worker("two", partitions=7)
    with running(other):
        other.until_logged(r"WARNING .*keeps its number of partitions until it is scaled; found partitions=7, and 5")
        calls.call()
        assert calls.names(1) == {f"{each} 1" for each in PEOPLE}
        assert other.stop() == 0


def test_a_row_that_the_public_topic_refuses_is_a_dead_letter_and_nowhere_written(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    beside.call(create(kafka, {stage.name("flights"): 2}))
    beside.call(create(kafka, {stage.name("mileages"): 3}, {**COMPACTED, "max.message.bytes": "600"}))
    worker = stage.worker(ADDING)
    long = "N" * 500
    with running(worker):
        stage.send("flights", [Sent(each, {"tailnum": each, "miles": 1}) for each in ("N1", long, "N2")])
        assert "at most 600 bytes" in stage.until_letters(1)[0].cause
        beside.call(until_count(kafka, stage.name("mileages"), 2))
        assert {each.key for each in stage.read(f"{stage.name('mileages')}.rows")} == {b"N1", b"N2"}
        assert worker.stop() == 0
