"""Dead letters of real workers, settled with the public command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.stages import KINDS, Stage, customer, order
from tests.support.beside import Beside
from tests.support.described import require_described
from tests.support.topics import Sent, read, until
from tests.support.workers import larder, running


class Operator:
    """Runs commands while a stage's workers run."""

    def __init__(self, stage: Stage, module: str) -> None:
        self._stage = stage
        self._module = module

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        stage = self._stage
        command = ("dead-letters", arguments[0], stage.prefix, *arguments[1:], "--json")
        ended = larder(*command, kafka=stage.kafka, directory=stage.directory, module=self._module)
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replayed_order_is_joined_exactly_once_after_its_customer_came(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, kind: str
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS[kind])
    operator = Operator(stage, worker.module)
    with running(worker):
        worker.until_running()
        stage.send("orders", [order(f"o{number}", "c9") for number in range(5)])
        letters = stage.until_letters(5)
        listed = operator("list")["letters"]
        assert {each["id"] for each in listed} == {each.record.key.decode() for each in letters}
        assert {each["key"] for each in listed} == {f"o{number}" for number in range(5)}
        assert all("has no row 'c9'" in each["cause"] for each in listed)
        # Too early: it is dead-lettered again.
        early = operator("replay", listed[0]["id"])
        assert [each["id"] for each in early["replayed"]] == [listed[0]["id"]]
        stage.beside.call(_until_unsettled(stage, 6))
        stage.send("customers", [customer("c9")])
        worker.until(lambda status: status["tables"][0]["rows"] == 1, what="a customer")
        assert len(operator("replay", "--all")["replayed"]) == 5
        ids = {f"o{number}" for number in range(5)}
        assert stage.until_joined(ids).keys() == ids
        assert operator("replay", "--all")["replayed"] == []
        again = operator("replay", *(each["id"] for each in listed))
        assert (again["replayed"], len(again["already"])) == ([], 5)
        assert operator("list")["letters"] == []
        worker.until_caught_up()
        assert worker.stop() == 0
    assert len(stage.read("joined")) == 5
    assert len(stage.read("orders")) == 5


COUNTING = """
class Count(Row):
    customer_id: str
    orders: int = 0
    quantity: int = 0
    revision: int = 0


counts = OwnerTopic("{prefix}.counts", Count, key="customer_id", revision="revision", partitions=1)
held = service.global_table(customers)
service.join(orders, held.on("customer_id"), into=joined, missing=DeadLetter)
counted = service.table(counts)


@service.fold(orders.by("customer_id"), state=counted)
def count(order: Order, row: Count | None) -> Count:
    if order.quantity < 1:
        raise ValueError("nothing ordered")
    before = row or Count(customer_id=order.customer_id)
    return Count(customer_id=order.customer_id, orders=before.orders + 1, quantity=before.quantity + order.quantity)
"""


def test_a_replayed_record_reaches_only_the_step_that_failed(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(COUNTING)
    operator = Operator(stage, worker.module)
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("o1", "c1"), order("o2", None), order("o3", "c1", quantity=0)])
        letters = stage.until_letters(5)
        steps = {(each.record.key, dict(each.record.headers)["larder.step"]) for each in letters}
        source, by = f"{prefix}.orders/0", next(each for each, _ in steps if b".by." in each).decode()
        assert {(key.decode(), step.decode()) for key, step in steps} == {
            *((f"{source}/{offset}", f"join {prefix}.joined") for offset in range(3)),
            (f"{source}/1", "by customer_id"),
            (by, f"decide {prefix}.counts"),
        }
        stage.send("customers", [customer("c1")])
        worker.until(lambda status: status["tables"][0]["rows"] == 1, what="a customer")
        replayed = operator("replay", "--all")["replayed"]
        assert {each["reaches"] for each in replayed} == {
            f"only {step} of {prefix}"
            for step in (f"join {prefix}.joined", "by customer_id", f"decide {prefix}.counts")
        }
        # The failed steps dead-letter again; the other results exist once, and were counted once.
        assert stage.until_joined({"o1", "o3"}).keys() == {"o1", "o3"}
        stage.beside.call(_until_unsettled(stage, 8))
        worker.until_caught_up()
        left = {(each["id"], each["step"]) for each in operator("list")["letters"]}
        assert left == {
            (f"{source}/1", f"join {prefix}.joined"),
            (f"{source}/1", "by customer_id"),
            (by, f"decide {prefix}.counts"),
        }
        status, row = worker.row(f"{prefix}.counts", "c1")
        assert (status, row["row"]["orders"], row["row"]["quantity"]) == (200, 1, 1)
        assert len(stage.read("orders")) == 3
        assert worker.stop() == 0
    assert len(stage.read("joined")) == 2


def test_a_replay_that_no_step_accepts_is_a_dead_letter_again(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS["global"])
    with running(worker):
        worker.until_running()
        again, headers = "orders.replays", [("larder.replayed", f"{prefix}.orders/0/7".encode())]
        stage.send(again, [
            Sent("o1", b"{}", headers=[*headers, ("larder.step", b"join nobody")]),
            Sent("o2", b"{}", headers=[("larder.step", f"join {prefix}.joined".encode())]),
            Sent("o3", b"\xff", headers=[("larder.replayed", b"\xff/0/\xff")]),
        ])  # fmt: skip
        gone, *garbage = stage.until_letters(3)
        assert (gone.topic, gone.offset) == (stage.name("orders"), 7)
        assert f"requires the step 'join nobody' of the service on {prefix}.orders" in gone.cause
        assert [(each.topic, each.offset) for each in garbage] == [(stage.name(again), 1), (stage.name(again), 2)]
        assert all(f"with an offset of {prefix}.orders/0" in each.cause for each in garbage)
        stage.send("customers", [customer("c1")])
        stage.send("orders", [order("o4", "c1")])
        stage.until_joined({"o4"})
        assert worker.stop() == 0


async def _until_unsettled(stage: Stage, count: int) -> None:
    async def there() -> bool:
        records = await read(stage.kafka, stage.name("dead-letters"))
        return sum("larder.settled" not in dict(each.headers) for each in records) >= count

    await until(there, 20, f"{count} letters")


def test_discarded_letters_are_gone_and_bad_rows_cannot_be_replayed(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS["copartitioned"])
    operator = Operator(stage, worker.module)
    with running(worker):
        worker.until_running()
        stage.send("customers", [("c1", {"name": "no id, no revision"})])
        stage.send("orders", [("o1", b"{")])
        stage.until_letters(2)
        left = operator("replay", "--topic", stage.name("customers"), code=1)["left"]
        assert "an old row would replace a newer one" in left[0]["cause"]
        shown = operator("show", left[0]["id"])["letter"]
        assert (shown["value"], shown["settled"]) == ({"name": "no id, no revision"}, None)
        assert len(operator("discard", "--cause", "requires JSON")["discarded"]) == 1
        assert [each["id"] for each in operator("list")["letters"]] == [left[0]["id"]]
        assert len(operator("discard", left[0]["id"])["discarded"]) == 1
        assert operator("show", left[0]["id"])["letter"]["settled"]["how"] == "discarded"
        for path, status in (
            ("/dead-letters", 200),
            ("/dead-letters?key=nobody&limit=1", 200),
            (f"/dead-letters/{left[0]['id']}", 200),
            (f"/dead-letters/{prefix}.orders/0/77", 404),
            ("/dead-letters/x/y/z", 400),
        ):
            found, body = worker.get(path) or (0, {})
            assert found == status
            media = "application/json" if status == 200 else "application/problem+json"
            require_described(path, status, media, body)
        assert operator("show", f"{prefix}.orders/0/77", code=2)["error"].startswith("dead letter ")
        assert worker.stop() == 0


def test_two_commands_show_why_an_order_was_not_joined(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> None:
    """As in the documents: the results of the records of a join name the letter, and another command shows it."""
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=2)
    workers = [stage.worker(KINDS["global"], name=name) for name in ("one", "two")]

    def said(*arguments: str) -> str:
        ended = larder(*arguments, kafka=kafka, directory=tmp_path, module=workers[0].module)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    with running(*workers):
        for worker in workers:
            worker.until_shared(1)
        stage.send("customers", [customer("c1")])
        for worker in workers:
            worker.until(lambda status: status["tables"][0]["rows"] == 1, what="a customer")
        stage.send("orders", [*(order(f"o{number}") for number in range(20)), order("o-lost", "c404")])
        (letter,) = stage.until_letters(1)
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        first = said("joins", prefix)
        (line,) = [each for each in first.splitlines() if each.startswith("parked: o-lost ")]
        assert f" at {place} lacks 'c404' of {stage.name('customers')}" in line
        shown = said("dead-letters", "show", prefix, place)
        assert f"{stage.name('customers')} has no row 'c404'" in shown
        assert '"order_id": "o-lost"' in shown
        (listed,) = [each for each in said("dead-letters", "list", prefix).splitlines() if "o-lost" in each]
        assert listed.startswith(place)
        (counted,) = [each for each in first.splitlines() if "became dead letters" in each]
        assert counted.startswith("1 of ")
        assert f"records of {stage.name('orders')} became dead letters since" in counted
        assert "has no row …" in counted
        doctor = larder("doctor", prefix, "--json", kafka=kafka, directory=tmp_path, module=workers[0].module)
        (finding,) = [each for each in json.loads(doctor.stdout)["findings"] if each["audit"] == "letters"]
        assert finding["samples"] == [place]
