"""A new row type that cannot read the rows of a followed table: a real worker publishes nothing without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.stages import KINDS, Stage, customer, order
from tests.support.beside import Beside
from tests.support.workers import running

STRICTER = """
class Customer(Row):
    customer_id: str
    zone: str
    revision: int


class Joined(Order):
    customer: Customer | None


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
joined = EventTopic("{prefix}.joined", Joined, key="order_id")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_join_publishes_nothing_without_the_rows_that_a_new_row_type_cannot_read(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, kind: str
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS[kind], missing="Drop")
    with running(worker):
        stage.send("customers", [customer(f"c{number}") for number in range(5)])
        stage.send("orders", [order("o1")])
        stage.until_joined({"o1"})
        worker.until_caught_up()
        assert worker.stop() == 0
    stage.send("orders", [order("o2")])
    changed = stage.worker(STRICTER, KINDS[kind], missing="Drop")
    with running(changed):
        status = changed.until(lambda status: bool(status["held_back"]), what="held back")
        (problem,) = status["held_back"]
        assert f"table {prefix}.customers" in problem
        assert "5 rows that cannot be read, of 5 that it had before" in problem
        assert "LARDER_ACCEPT_LOST_ROWS" in problem
        changed.until(lambda _: problem in str(changed.get("/health/live")), what="the reason in its health")
        changed.until_logged("5 rows that cannot be read")
        assert changed.stop() == 0
    with running(back := stage.worker(KINDS[kind], missing="Drop")):
        joined = stage.until_joined({"o1", "o2"})
        assert joined["o2"]["customer"]["customer_id"] == "c1"
        back.until_caught_up()
        assert back.stop() == 0
