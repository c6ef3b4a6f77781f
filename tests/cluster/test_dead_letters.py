"""Dead letters of real workers, settled with the public command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.stages import KINDS, Stage, customer, order
from tests.support.beside import Beside
from tests.support.described import require_described
from tests.support.topics import read, until
from tests.support.workers import larder, running


class Operator:
    """Who runs commands beside a stage's workers."""

    def __init__(self, stage: Stage, module: str) -> None:
        self._stage = stage
        self._module = module

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        stage = self._stage
        told = ("dead-letters", arguments[0], stage.prefix, *arguments[1:], "--json")
        ended = larder(*told, kafka=stage.kafka, directory=stage.directory, module=self._module)
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replayed_order_is_joined_once_its_customer_is_there_and_once_alone(
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
        # Too early: it is parked again, under another id.
        early = operator("replay", listed[0]["id"])
        assert [each["id"] for each in early["replayed"]] == [listed[0]["id"]]
        stage.beside.call(_until_parked(stage, 6))
        stage.send("customers", [customer("c9")])
        worker.until(lambda seen: seen["tables"][0]["rows"] == 1, what="a customer")
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
    replayed = [dict(each.headers).get("larder.replayed") for each in stage.read("orders")]
    assert len([each for each in replayed if each]) == (6 if kind == "global" else 0)
    if kind == "copartitioned":
        inner = stage.beside.call(read(kafka, f"{prefix}.{prefix}.orders.by.customer_id"))
        assert len([each for each in inner if "larder.replayed" in dict(each.headers)]) == 6


async def _until_parked(stage: Stage, count: int) -> None:
    async def parked() -> bool:
        records = await read(stage.kafka, stage.name("dead-letters"))
        return len({each.key for each in records}) >= count

    await until(parked, 20, f"{count} letters")


def test_discarded_letters_are_gone_and_bad_rows_are_left_to_their_owner(
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
        assert "an old row would take the place of a newer one" in left[0]["cause"]
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


def test_why_an_order_was_not_joined_is_two_commands_away(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    """As the README says it: what became of the records of each join names the letter, which is then shown."""
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
            worker.until(lambda seen: seen["tables"][0]["rows"] == 1, what="a customer")
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
