"""`larder topics`: the topics that the declarations need, and which of them exist."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.topics import COMPACTED, create
from tests.support.workers import larder

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

MODULE = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait

    class Customer(Row):
        customer_id: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Enriched(Order):
        customer: Customer

    customers = OwnerTopic("{0}.customers", Customer, key="customer_id", owner="{0}.crm", partitions=2)
    orders = EventTopic("{0}.orders", Order, key="order_id")

    shipping = Service("{0}.shipping")
    shipping.join(orders, shipping.global_table(customers).on("customer_id"),
                  into=EventTopic("{0}.enriched", Enriched, key="order_id"),
                  missing=Wait(seconds=5).then(DeadLetter))
    fulfilment = Service("{0}.fulfilment")
    fulfilment.join(orders.by("customer_id"), fulfilment.table(customers),
                    into=EventTopic("{0}.fulfilled", Enriched, key="order_id"))
"""


@pytest.fixture
def module(prefix: str) -> str:
    return MODULE.format(prefix)


def _topics(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert ended.returncode == 0, ended.stderr
    return {each["name"]: each for each in json.loads(ended.stdout)["topics"]}


async def test_topics_are_listed_with_roles_owner_and_whether_they_exist(
    kafka: str, tmp_path: Path, module: str, prefix: str
) -> None:
    await create(kafka, {f"{prefix}.orders": 3})
    found = _topics(larder("topics", "--json", kafka=kafka, directory=tmp_path, module=module))
    assert found[f"{prefix}.orders"] == {
        "name": f"{prefix}.orders",
        "owner": None,
        "claimed_by": None,
        "roles": {f"{prefix}.shipping": ["source"], f"{prefix}.fulfilment": ["source"]},
        "partitions": 3,
        "compacted": False,
        "exists": True,
        "created": False,
    }
    customers = found[f"{prefix}.customers"]
    assert (customers["owner"], customers["exists"], customers["compacted"]) == (f"{prefix}.crm", False, True)
    waiting = found[f"{prefix}.shipping.{prefix}.enriched.waiting"]
    assert (waiting["owner"], waiting["partitions"]) == (f"{prefix}.shipping", 3)


def test_create_with_a_service_creates_only_its_topics(kafka: str, tmp_path: Path, module: str, prefix: str) -> None:
    service = f"{prefix}.shipping"
    found = _topics(larder("topics", service, "--create", "--json", kafka=kafka, directory=tmp_path, module=module))
    created = {name.removeprefix(prefix) for name, each in found.items() if each["created"]}
    assert created == {
        ".enriched", f".shipping.{prefix}.enriched.waiting", f".shipping.{prefix}.orders.replays",
        ".shipping.dead-letters",
    }  # fmt: skip
    assert not found[f"{prefix}.customers"]["exists"]


def test_create_without_a_service_creates_all_missing_topics_as_declared(
    kafka: str, tmp_path: Path, module: str, prefix: str
) -> None:
    larder("topics", "--create", kafka=kafka, directory=tmp_path, module=module)
    found = _topics(larder("topics", "--json", kafka=kafka, directory=tmp_path, module=module))
    assert all(each["exists"] for each in found.values())
    assert (found[f"{prefix}.customers"]["partitions"], found[f"{prefix}.customers"]["compacted"]) == (2, True)
    # It is joined with a table of two partitions.
    assert found[f"{prefix}.fulfilment.{prefix}.orders.by.customer_id"]["partitions"] == 2


def test_each_topic_is_shown_in_a_line(kafka: str, tmp_path: Path, module: str, prefix: str) -> None:
    shown = larder("topics", kafka=kafka, directory=tmp_path, module=module).stdout
    line = next(line for line in shown.splitlines() if line.startswith(f"{prefix}.customers"))
    used = f"{prefix}.shipping: table; {prefix}.fulfilment: table"
    assert line.split(maxsplit=6) == [f"{prefix}.customers", "no", "2", "compacted", f"{prefix}.crm", "-", used]


def test_an_undeclared_service_is_a_mistake(kafka: str, tmp_path: Path, module: str, prefix: str) -> None:
    ended = larder("topics", f"{prefix}.shiping", kafka=kafka, directory=tmp_path, module=module)
    assert ended.returncode == 2
    assert ended.stderr.endswith(f"did you mean {prefix}.shipping?\n")


def test_without_a_broker_the_command_prints_one_clear_line(tmp_path: Path, module: str) -> None:
    ended = larder("topics", kafka="127.0.0.1:1", directory=tmp_path, module=module)
    assert ended.returncode == 3
    assert ended.stderr.startswith("larder: broker 127.0.0.1:1 (setting kafka): requires a Kafka broker that answers")


async def test_command_worker_and_doctor_report_a_refused_topic_in_one_line(
    kafka: str, tmp_path: Path, prefix: str
) -> None:
    module, service = MODULE.format(prefix), f"{prefix}.shipping"
    await create(kafka, {f"{prefix}.customers": 2}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 1, f"{prefix}_enriched": 1})
    message = f"larder: topic {prefix}.enriched: requires a broker that creates it"
    for command in (("topics", service, "--create"), ("worker", service)):
        ended = larder(*command, kafka=kafka, directory=tmp_path, module=module)
        (line,) = [line for line in ended.stderr.splitlines() if "requires" in line]
        assert ended.returncode == 2
        assert message in line
        assert f"{prefix}_enriched" in line, "the reason of the broker"
        assert "Traceback" not in ended.stderr
    found = json.loads(larder("doctor", "--json", kafka=kafka, directory=tmp_path, module=module).stdout)["findings"]
    (refused,) = [each for each in found if each["about"] == f"topic {prefix}.enriched"]
    assert (refused["severity"], f"{prefix}_enriched" in refused["seen"]) == ("error", True)
