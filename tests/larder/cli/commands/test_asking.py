"""`larder get`, `larder tables` and `larder services`: the answers of the local workers."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.topics import COMPACTED, Sent, create, send
from tests.support.workers import Worker, larder, running

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

MODULE = """
    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Customer(Row):
        customer_id: str
        name: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Enriched(Order):
        customer: Customer | None

    shipping = Service("{0}.shipping")
    customers = shipping.global_table(OwnerTopic("{0}.customers", Customer, key="customer_id", owner="crm"))
    shipping.join(EventTopic("{0}.orders", Order, key="order_id"), customers.on("customer_id"),
                  into=EventTopic("{0}.enriched", Enriched, key="order_id"), missing=PassOn)
"""


NUMBERS = """
    from larder import OwnerTopic, Row, Service

    class Number(Row):
        number: int

    counting = Service("{0}.counting")
    counting.global_table(OwnerTopic("{0}.numbers", Number, key="number", key_type=int, owner="mathematics"))
"""


class Asking:
    """Commands in the directory of a worker, which may be running or not."""

    def __init__(self, kafka: str, directory: Path, prefix: str) -> None:
        self.kafka, self.directory, self.prefix = kafka, directory, prefix
        self.worker = Worker(kafka, directory, MODULE.format(prefix), f"{prefix}.shipping")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return larder(*arguments, kafka=self.kafka, directory=self.directory, module=MODULE.format(self.prefix))

    def json(self, *arguments: str) -> dict[str, Any]:
        ended = self(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found


@pytest.fixture
async def asking(kafka: str, tmp_path: Path, prefix: str) -> Asking:
    await create(kafka, {f"{prefix}.customers": 2}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 2})
    await send(kafka, f"{prefix}.customers", [Sent("ada/1", {"customer_id": "ada/1", "name": "Ada"})])
    return Asking(kafka, tmp_path, prefix)


async def test_the_local_worker_answers_for_rows_tables_and_services(asking: Asking, prefix: str) -> None:
    await send(asking.kafka, f"{prefix}.customers", [Sent("cid", {"customer_id": "cid", "name": 7})])
    with running(asking.worker):
        asking.worker.until_caught_up()
        found = asking.json("get", f"{prefix}.customers", "ada/1")
        assert (found["row"], found["worker"], found["state"]) == (
            {"customer_id": "ada/1", "name": "Ada"},
            "one",
            "caught up",
        )
        shown = asking("get", f"{prefix}.customers", "ada/1")
        assert json.loads(shown.stdout) == {"customer_id": "ada/1", "name": "Ada"}
        assert "from one: caught up" in shown.stderr

        absent = asking("get", f"{prefix}.customers", "bob")
        assert (absent.returncode, absent.stdout) == (1, "")
        assert absent.stderr == f"larder: table {prefix}.customers, key bob: no such key\n"

        rejected = asking("get", f"{prefix}.customers", "cid")
        assert (rejected.returncode, rejected.stdout) == (3, "")
        assert "that was rejected: the value requires the fields of Customer; found: Expected" in rejected.stderr

        (table,) = asking.json("tables")["tables"]
        assert (table["rows"], table["states"], table["lag"], table["worker"]) == (1, ["caught up"], 0, "one")
        assert table["rejected"] == 1
        line = asking("tables").stdout.splitlines()[1]
        assert line.startswith(f"{prefix}.customers  one     global     1         1    0  ")
        assert line.endswith(" s  caught up")

        (service,) = asking.json("services")["services"]
        (worker,) = service["workers"]
        assert (worker["worker"], worker["phase"], worker["lag"]) == ("one", "running", 0)
        assert service["joins"][0]["missing"] == ["PassOn"]
        assert "worker one: running, lag 0" in asking("services").stdout
        assert asking.worker.stop() == 0
    gone = asking("get", f"{prefix}.customers", "ada/1")
    assert (gone.returncode, "no local worker at all" in gone.stderr) == (3, True)


async def test_a_command_does_not_wait_long_for_a_killed_or_stopped_worker(asking: Asking, prefix: str) -> None:
    with running(asking.worker):
        asking.worker.until_caught_up()
        asking.worker.signal(signal.SIGSTOP)
        asking.worker.until_stopped()
        silent = asking("get", f"{prefix}.customers", "ada/1")
        assert (silent.returncode, "one: no answer" in silent.stderr) == (3, True)
        assert asking.json("tables") == {"tables": [], "silent": ["one"]}
        asking.worker.signal(signal.SIGCONT)
        asking.worker.kill()
        ended = asking("get", f"{prefix}.customers", "ada/1")
        assert (ended.returncode, "no local worker at all" in ended.stderr) == (3, True)


def test_an_undeclared_table_is_a_mistake(asking: Asking, prefix: str) -> None:
    ended = asking("get", f"{prefix}.custmers", "ada")
    assert (ended.returncode, ended.stderr.endswith(f"did you mean {prefix}.customers?\n")) == (2, True)


def test_joins_of_an_undeclared_service_or_one_without_operators_are_a_mistake(
    kafka: str, tmp_path: Path, prefix: str
) -> None:
    def joins(service: str) -> subprocess.CompletedProcess[str]:
        return larder("joins", service, kafka=kafka, directory=tmp_path, module=NUMBERS.format(prefix))

    unknown, without = joins("nope"), joins(f"{prefix}.counting")
    assert (unknown.returncode, without.returncode) == (2, 2)
    assert "service nope: requires a declared service" in unknown.stderr
    assert (
        f"service {prefix}.counting: requires joins, decides, folds, reactions or agents; found none" in without.stderr
    )


def test_without_workers_services_are_shown_as_declared(asking: Asking, prefix: str) -> None:
    (service,) = asking.json("services")["services"]
    assert service["workers"] == []
    assert asking("services").stdout.splitlines() == [
        f"{prefix}.shipping",
        f"  table  {prefix}.customers (global)",
        f"  join   {prefix}.orders with {prefix}.customers on customer_id into {prefix}.enriched",
        "  no worker runs here",
    ]
    assert asking.json("tables") == {"tables": [], "silent": []}


async def test_a_key_of_the_wrong_type_is_a_mistake(kafka: str, tmp_path: Path, prefix: str) -> None:
    await create(kafka, {f"{prefix}.numbers": 1}, COMPACTED)
    module = NUMBERS.format(prefix)
    worker = Worker(kafka, tmp_path, module, f"{prefix}.counting")
    with running(worker):
        worker.until(lambda seen: seen["phase"] == "running")
        ended = larder("get", f"{prefix}.numbers", str(2**63), kafka=kafka, directory=tmp_path, module=module)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"larder: key of {prefix}.numbers: requires a whole number of 64 bits; found '{2**63}'; write it that way\n"
    )
