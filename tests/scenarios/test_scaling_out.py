"""System 4, scaling out: workers are killed and added while orders arrive."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.shops import KINDS, PARTITIONS, Shop
from tests.support.beside import loop_beside
from tests.support.workers import Worker, none_left, running

STARTS = 60
"""Seconds for the start of four workers on a busy machine."""


@pytest.fixture
def shop(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Shop]:
    with loop_beside() as beside:
        shop = Shop(kafka, prefix, beside, tmp_path, random.Random(prefix))  # noqa: S311 - nothing is secret here
        yield shop
        shop.close()


@pytest.mark.scenario("4.7")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("standby", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_of_three_workers_is_killed_and_a_fourth_is_added_while_orders_arrive(
    shop: Shop, kind: str, standby: str
) -> None:
    module = shop.module(KINDS[kind], missing="Wait(seconds=60).then(DeadLetter)")
    one, two, three, four = (shop.worker(module, name, standby=standby) for name in ("one", "two", "three", "four"))
    late = [f"late{number}" for number in range(12)]
    with none_left(four), running(one, two, three):
        with shop.open():
            _until_shared(one, two, three)
            shop.order(len(late) * 2, late)
            shop.joined.until(shop.order_everywhere())
            shop.publish(late[:4])
            two.kill()
            shop.joined.until(shop.order_everywhere())
            shop.publish(late[4:8])
            four.start()
            _until_shared(one, three, four)
            shop.joined.until(shop.order_everywhere())
            shop.publish(late[8:])
        shop.judge()
        for worker in (one, three, four):
            assert worker.stop() == 0, worker.text[-4000:]
    assert not shop.dead_letters()


def _until_shared(*workers: Worker) -> None:
    """Wait until these workers run and share all partitions of the orders."""
    for worker in workers:
        worker.until_running(STARTS)
    workers[-1].until(lambda _: _shared(workers), STARTS, "all partitions shared among them")


def _shared(workers: tuple[Worker, ...]) -> bool:
    topic_partitions = [
        (each["topic"], each["partition"])
        for worker in workers
        for each in (worker.get("/services") or (0, {"inputs": []}))[1]["inputs"]
    ]
    topics = {topic for topic, _ in topic_partitions}
    return len(set(topic_partitions)) == len(topic_partitions) == len(topics) * PARTITIONS
