"""A worker that is stopped for longer than its session (SIGSTOP), and continues as if nothing had happened."""

from __future__ import annotations

import random
import signal
import time

import msgspec
import pytest

from tests.cluster.shops import KINDS, SIGNED, Shop
from tests.support.workers import Worker, running


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_slept_through_its_session_measures_again_before_it_joins(shop: Shop, kind: str) -> None:
    module = shop.module(KINDS[kind], SIGNED)
    sleeper, other = shop.worker(module, "sleeper"), shop.worker(module, "other")
    with running(sleeper, other):
        for worker in (sleeper, other):
            worker.until(lambda status: status["inputs"], what="partitions")
        shop.order(200)
        sleeper.signal(signal.SIGSTOP)
        everywhere = shop.order_everywhere()
        shop.joined.until(everywhere)  # the other one has all partitions
        shop.flood(200_000)
        sleeper.signal(signal.SIGCONT)
        late: list[str] = []
        while sleeper.process.pid not in _makers(shop, late):
            late += shop.order_everywhere()
            shop.joined.until(late)
        shop.judge()
        outputs = [msgspec.json.decode(record.value) for record in shop.joined.records]
        for row in outputs:
            if row["order_id"] in late and row["worker"] == sleeper.process.pid:
                assert row["customer"] == shop.rows[row["customer_id"]]
        assert sleeper.stop() == 0
        assert other.stop() == 0
    assert not shop.dead_letters()


def test_a_worker_that_slept_never_denies_a_row_that_was_written_meanwhile(shop: Shop, chance: random.Random) -> None:
    worker = shop.worker(shop.module(KINDS["global"]))
    table = f"{shop.prefix}.customers"
    with running(worker):
        worker.until_caught_up()
        for turn in range(3):
            _until_absent(worker, table, f"new{turn}")
            worker.signal(signal.SIGSTOP)
            shop.flood(chance.randint(1, 20_000))
            shop.publish([f"new{turn}"])
            _until_stopped_for(worker, 1.6)
            worker.signal(signal.SIGCONT)
            answers = []
            while 200 not in answers:
                status, answer = worker.row(table, f"new{turn}")
                assert status != 404, f"after {len(answers)} answers: {answer}"
                answers.append(status)
                assert len(answers) < 10_000, answer
            assert set(answers) <= {200, 503}
            worker.until_caught_up()
        assert worker.stop() == 0


def _until_absent(worker: Worker, table: str, key: str) -> None:
    """Wait until a worker is sure that a row is absent. It measures again once it has its partitions back."""
    deadline = time.monotonic() + 20
    while (answer := worker.row(table, key))[0] != 404:
        assert answer[0] == 503, answer
        assert time.monotonic() < deadline, answer


def _makers(shop: Shop, orders: list[str]) -> set[int]:
    """Return the processes that made the outputs of these orders."""
    rows = [msgspec.json.decode(record.value) for record in shop.joined.records]
    return {row["worker"] for row in rows if row["order_id"] in orders}


def _until_stopped_for(worker: Worker, seconds: float) -> None:
    """Wait until a worker has been stopped for `seconds`."""
    worker.lives_for(seconds)
