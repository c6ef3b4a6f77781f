"""Topics that are empty, full of deletions or recreated, and rows in the wrong partition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from larder.kafka.partitioner import partition_of
from tests.cluster.stages import COPARTITIONED, GLOBAL, KINDS, Stage, customer, order, table
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent
from tests.support.workers import Worker, running


@pytest.fixture
def stage(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Stage:
    return Stage(kafka, prefix, beside, tmp_path)


def test_empty_topics_and_deletions_of_missing_rows_are_caught_up(stage: Stage) -> None:
    worker = stage.worker(COPARTITIONED, missing="PassOn")
    with running(worker):
        worker.until_caught_up()
        stage.send("orders", [order("o1")])
        assert stage.until_joined(["o1"])["o1"]["customer"] is None
        stage.send("customers", [(f"c{number}", None) for number in range(5)])
        worker.until(lambda seen: table(seen, "customers")["partitions"][0]["position"] == 5, what="all deletions")
        assert table(worker.until_caught_up(), "customers")["rows"] == 0
        assert worker.row(stage.name("customers"), "c1")[0] == 404
        assert worker.stop() == 0


def test_a_topic_of_only_deletions_is_caught_up(stage: Stage) -> None:
    stage.send("customers", [(f"c{number}", None) for number in range(5)])
    stage.send("orders", [order("o1")])
    worker = stage.worker(GLOBAL, missing="PassOn")
    with running(worker):
        assert stage.until_joined(["o1"])["o1"]["customer"] is None
        assert table(worker.until_caught_up(), "customers")["rows"] == 0
        assert worker.row(stage.name("customers"), "c1")[0] == 404
        assert worker.stop() == 0


def test_a_recreated_table_topic_is_read_again_with_a_log_line(stage: Stage) -> None:
    stage.send("customers", [customer("c1", 5, name="old"), customer("gone", 5)])
    worker = stage.worker(GLOBAL, missing="PassOn")
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
        stage.create_again("customers", COMPACTED)
        # More records than before, so that the old position exists in the new log.
        stage.send("customers", [customer("c1", name="new"), *(customer(f"d{number}") for number in range(9))])
        worker.start()
        worker.until_logged(r"\.customers: rebuilt from the topic: topic \S+ was deleted and created again")
        assert table(worker.until_caught_up(), "customers")["rows"] == 10
        stage.send("orders", [order("o1", "c1"), order("o2", "gone")])
        joined = stage.until_joined(["o1", "o2"])
        assert (joined["o1"]["customer"]["name"], joined["o2"]["customer"]) == ("new", None)
        assert worker.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_topic_that_is_recreated_meanwhile_is_read_again(stage: Stage, kind: str) -> None:
    stage.send("customers", [customer(f"c{number}", 5, name="old") for number in range(9)])
    worker = stage.worker(KINDS[kind], missing="PassOn")
    with running(worker):
        worker.until_caught_up()
        stage.create_again("customers", COMPACTED)
        stage.send("customers", [customer("c1", name="new")])
        worker.until_logged(r"it is rebuilt from the topic's start|was deleted and created again", 40)
        worker.until(lambda seen: table(seen, "customers")["rows"] == 1, 40, "the rows of the new topic")
        worker.until_caught_up()
        stage.send("orders", [order("o1", "c1"), order("o2", "c2")])
        joined = stage.until_joined(["o1", "o2"])
        assert (joined["o1"]["customer"]["name"], joined["o2"]["customer"]) == ("new", None)
        assert worker.stop() == 0


def test_an_input_that_is_recreated_is_refused_until_the_operator_says_how_to_continue(stage: Stage) -> None:
    stage.send("customers", [customer("c1")])
    stage.send("orders", [order(f"o{number}") for number in range(3)])
    worker = stage.worker(GLOBAL)
    with running(worker):
        stage.until_joined(["o0", "o1", "o2"])
        worker.until_caught_up()
        stage.create_again("orders")
        stage.send("orders", [order("n0")])
        assert worker.exit_code(60) == 3, "it ends while it runs"
        stage.send("orders", [order(f"n{number}") for number in range(1, 9)])
        for log in (worker.text, _refused_again(worker)):
            assert f"input {stage.name('orders')}, partition 0: a service continues from the offset" in log
            assert "--inputs-from earliest" in log.splitlines()[-1]
            assert "Traceback" not in log
        assert stage.joined().keys() == {"o0", "o1", "o2"}

        again = stage.worker(GLOBAL, arguments=("--inputs-from", "earliest"))
        with running(again):
            stage.until_joined([f"n{number}" for number in range(9)])
            again.until_caught_up()
            assert again.stop() == 0
        # From here on, it needs no argument to continue.
        stage.send("orders", [order("later")])
        worker.start()
        stage.until_joined(["later"])
        assert len(stage.read("joined")) == 3 + 9 + 1
        assert worker.stop() == 0


def test_partitions_that_never_had_records_are_not_reported_as_lost(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    """The worker has committed for one partition, and then gets others that never had a record."""
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=4)
    stage.send("customers", [customer("c1")])
    stage.send("orders", [Sent("o1", order("o1")[1], partition=0)])
    one, two = stage.worker(GLOBAL), stage.worker(GLOBAL, name="two")
    with running(one, two):
        for worker in (one, two):
            worker.until(lambda seen: len(seen["inputs"]) == 2, what="two of four partitions")
        stage.until_joined(["o1"])
        first, other = (one, two) if any(each["partition"] == 0 for each in _inputs(one)) else (two, one)
        first.until(lambda seen: all(each["lag"] == 0 for each in seen["inputs"]), what="no lag")
        assert first.stop() == 0
        other.until(lambda seen: len(seen["inputs"]) == 4, what="all partitions")
        first.start()
        first.until(lambda seen: len(seen["inputs"]) == 2, what="two of four partitions again")
        stage.send("orders", [Sent(f"p{number}", order(f"p{number}")[1], partition=number) for number in range(4)])
        stage.until_joined([f"p{number}" for number in range(4)])
        assert (first.stop(), other.stop()) == (0, 0)


def test_a_misplaced_row_becomes_a_dead_letter_and_is_not_joined(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=3)
    keys = [f"c{number}" for number in range(9)]
    places = {key: partition_of(key.encode(), 3) for key in keys}
    stage.send("customers", [Sent(key, customer(key, name="right")[1], places[key]) for key in keys])
    astray = [Sent(key, customer(key, 9, name="astray")[1], (places[key] + 1) % 3) for key in keys]
    deletions = [Sent(key, None, (places[key] + 2) % 3) for key in keys]
    stage.send("customers", [*astray, *deletions])
    worker = stage.worker(COPARTITIONED)
    with running(worker):
        worker.until_caught_up()
        # Orders go to the right partition of their customer, whatever partition they come from.
        stage.send("orders", [Sent(f"o{key}", order(f"o{key}", key)[1], 0) for key in keys])
        joined = stage.until_joined([f"o{key}" for key in keys])
        assert {row["customer"]["name"] for row in joined.values()} == {"right"}
        for key in keys:
            assert worker.row(stage.name("customers"), key)[1]["row"]["name"] == "right"
        letters = stage.until_letters(18)
        assert all("requires the partition that its key belongs to" in letter.cause for letter in letters)
        held = table(worker.until_caught_up(), "customers")
        assert (held["rows"], held["counts"]["rejected"]) == (9, 18)
        assert worker.stop() == 0


def _refused_again(worker: Worker) -> str:
    worker.start()
    assert worker.exit_code() == 3
    return worker.text


def _inputs(worker: Worker) -> list[dict[str, Any]]:
    _, seen = worker.get("/services") or (0, {})
    inputs: list[dict[str, Any]] = seen["inputs"]
    return inputs
