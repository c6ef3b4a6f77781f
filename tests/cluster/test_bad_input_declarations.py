"""Mistakes in declarations: the real command reports all at once, in one form, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.stages import GLOBAL, Stage
from tests.support.beside import Beside
from tests.support.topics import COMPACTED
from tests.support.workers import larder, running

MISTAKES = """
from larder import EventTopic, OwnerTopic, Row, Service, Wait


class Customer(Row):
    customer_id: str
    name: str


class Order(Row):
    order_id: str
    customer: str


customers = OwnerTopic("customers", Customer, key="id", revision="version", indexes=["country"])
orders = EventTopic("orders in a shop", Order, key="order_id")
joined = EventTopic("joined", Order, key="order_id", owner="somebody else")
shop = Service("shop")
held = shop.global_table(customers)
shop.join(orders, held.on("customer_id"), into=joined, missing=Wait(-1))
shop.join(orders, held.on("customer"), into=joined)
"""


def test_all_mistakes_of_a_declaration_are_reported_at_once_without_a_broker(tmp_path: Path) -> None:
    done = larder("worker", "shop", kafka="127.0.0.1:1", directory=tmp_path, module=MISTAKES)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    for problem in (
        'topic customers: a key requires a field of Customer; found "id"',
        'topic customers: a revision requires a field of Customer; found "version"',
        'topic customers: an index requires a field of Customer; found "country"',
        "topic orders in a shop: a topic name requires",
        "service shop into joined: only the owner of a topic writes it; found owner somebody else",
        '.on requires a field of Order; found "customer_id"',
        "missing requires PassOn, Drop or DeadLetter",
        "service shop: a join requires a topic of its own; found 2 declarations of join joined",
        'a row requires a name of its own in the result; found "customer" for customers, which is taken',
    ):
        assert any(problem in line for line in lines), f"{problem} is not in:\n{done.stderr}"
    assert all(line.count("; ") >= 2 for line in lines), (
        "each says what was declared, required and found, and what to do"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("x = 1 +\n", "line 1"),
        ("x = 1\n", "a module of services requires a Service; found none"),
    ],
)
def test_a_module_that_fails_to_import_is_reported_with_the_cause(tmp_path: Path, module: str, cause: str) -> None:
    done = larder("worker", "shop", kafka="127.0.0.1:1", directory=tmp_path, module=module)
    assert done.returncode == 2
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_service_is_reported_with_the_known_ones(tmp_path: Path) -> None:
    module = 'from larder import Service\nservice = Service("shipping")\n'
    done = larder("worker", "shopp", kafka="127.0.0.1:1", directory=tmp_path, module=module)
    assert done.returncode == 2
    assert "shopp" in done.stderr
    assert "shipping" in done.stderr


def test_all_unsuitable_topics_are_reported_together(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> None:
    """Only the broker knows these mistakes: two topics of the wrong kind."""
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.configure("customers", {"cleanup.policy": "delete"})
    stage.configure("orders", COMPACTED)
    worker = stage.worker(GLOBAL)
    with running(worker):
        assert worker.exit_code() == 2
        assert f"topic {stage.name('customers')}: an owner topic requires cleanup.policy=compact" in worker.text
        assert f"topic {stage.name('orders')}: an event topic requires cleanup.policy=delete" in worker.text
        assert "Traceback" not in worker.text


def test_a_worker_waits_for_an_unreachable_broker_until_it_is_stopped(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.kafka = "127.0.0.1:1"
    worker = stage.worker(GLOBAL)
    with running(worker):
        worker.until_logged("waiting for the broker at 127.0.0.1:1")
        assert worker.row(stage.name("customers"), "c1")[0] == 503
        assert worker.stop() == 0
        assert worker.text.count("waiting for the broker") == 1, "the log must say it once"
