"""kill -9 of workers at any time and between any two steps, checked from outside against an independent model."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest

from tests.cluster.shops import KINDS, Shop
from tests.support.workers import Worker, none_left, running

# If an atomic write to a store were split into two, two counts in a row would hit both.
STEPS = {
    "global": ["write:4", "written:2", "written:3", "delivery.acknowledged:2"],
    "copartitioned": ["written:7", "delivery.sent:3", "delivery.acknowledged:5", "delivery.committed:2"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_killed_at_any_time_loses_neither_rows_nor_orders(
    shop: Shop, kind: str, chance: random.Random
) -> None:
    worker = shop.worker(shop.module(KINDS[kind]))
    # From before the worker has joined its group to well after.
    lifetimes = [chance.uniform(0.5, 2), chance.uniform(2, 3), chance.uniform(2, 4.5)]
    with running(worker):
        with shop.open():
            for lifetime in lifetimes:
                worker.lives_for(lifetime)
                worker.kill()
                worker.start()
            shop.joined.until(shop.order_everywhere())
        shop.judge()
        worker.until_caught_up()
        assert worker.stop() == 0
    assert shop.stored(worker) == shop.rows
    assert not shop.dead_letters()


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_killed_between_any_two_steps_loses_nothing(shop: Shop, kind: str) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing="Wait(seconds=60).then(DeadLetter)"))
    # These rows do not change later, so a lost row stays lost.
    shop.publish(f"still{number}" for number in range(40))
    with none_left(worker), shop.open():
        for turn, step in enumerate(STEPS[kind]):
            shop.order(2, [f"late{turn}"])
            worker.start(dying_at=step)
            shop.publish([f"late{turn - 1}"] if turn else [])
            assert worker.exit_code() == -signal.SIGKILL, worker.text
    with running(worker):
        shop.publish([f"late{len(STEPS[kind]) - 1}"])
        shop.judge()
        worker.until_caught_up()
        assert worker.stop() == 0
    assert shop.stored(worker) == shop.rows
    assert not shop.dead_letters()


def test_a_worker_killed_in_a_long_restore_and_right_after_it_loses_no_row(shop: Shop) -> None:
    worker = shop.worker(shop.module(KINDS["global"]))
    shop.flood(60_000, shop.neighbours("c0"))
    with none_left(worker):
        worker.start(dying_at="written:60")
        assert worker.exit_code() == -signal.SIGKILL, worker.text
        worker.start().until_caught_up()
        shop.publish(["c0"])
        worker.until(lambda _: _row(worker, shop, "c0") == shop.rows["c0"], what="a row that came after the restore")
        worker.kill()
        assert shop.stored(worker) == shop.rows


def _row(worker: Worker, shop: Shop, key: str) -> dict[str, Any] | None:
    return worker.row(f"{shop.prefix}.customers", key)[1].get("row")
