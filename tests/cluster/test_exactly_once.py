"""Every order comes out once, whatever happens to the worker that had it in a transaction."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from larder.local_broker import LocalBroker
from tests.cluster.shops import KINDS, Shop
from tests.cluster.stages import KINDS as STAGE_KINDS
from tests.cluster.stages import Stage, customer, order
from tests.support.beside import Beside
from tests.support.workers import none_left, running

WAITING = "Wait(seconds=60).then(DeadLetter)"
STEPS = ["delivery.sent", "delivery.acknowledged"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_slept_in_a_transaction_commits_nothing_of_it(shop: Shop, kind: str, step: str) -> None:
    module = shop.module(KINDS[kind], missing=WAITING)
    sleeper, other = shop.worker(module, "sleeper"), shop.worker(module, "other")
    with none_left(sleeper, other):
        with shop.open():
            shop.order(4, ["late0", "late1"])
            sleeper.start(dying_at=f"{step}:20:SIGSTOP")
            sleeper.until_stopped()
            shop.publish(["late0"])
            other.start()
            shop.joined.until(shop.order_everywhere())  # the other one has all partitions
            sleeper.signal(signal.SIGCONT)
            sleeper.until_logged("outputs were not (acknowledged|settled)")
            shop.publish(["late1"])
            for worker in (sleeper, other):
                worker.until(lambda status: status["inputs"], what="partitions")
            shop.joined.until(shop.order_everywhere())
        shop.judge()
        for worker in (sleeper, other):
            worker.until_caught_up()
            assert worker.stop() == 0
    shop.judge()
    assert not shop.dead_letters()


@pytest.mark.parametrize("step", STEPS)
def test_the_successor_ends_the_open_transaction_of_a_killed_worker(
    shop: Shop, step: str, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITING)
    killed, other = shop.worker(module, "killed"), shop.worker(module, "other")
    with none_left(killed, other):
        with shop.open():
            killed.start(dying_at=f"{step}:60")
            shop.joined.until(shop.order_everywhere())
            other.start()
            assert killed.exit_code() == -signal.SIGKILL
            since = time.monotonic()
            shop.joined.until(shop.order_everywhere())
            pause = time.monotonic() - since
            measured(f"killed at {step}: all partitions are processed again after {pause:.2f} s")
            # The broker itself would end it after ten seconds.
            assert pause < 8, other.text
        shop.judge()
        assert other.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_at_least_once_is_an_option(shop: Shop, kind: str) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing=WAITING), guarantee="at_least_once")
    with none_left(worker):
        with shop.open():
            for turn, step in enumerate([*STEPS, "delivery.committed"]):
                shop.order(2, [f"late{turn}"])
                worker.start(dying_at=f"{step}:20")
                assert worker.exit_code() == -signal.SIGKILL, worker.text
                shop.publish([f"late{turn}"])
            worker.start()
            shop.joined.until(shop.order_everywhere())
        shop.judge(once=False)
        assert worker.stop() == 0
    assert not shop.dead_letters()


def test_a_result_is_committed_at_once_under_low_load(shop: Shop, measured: Callable[[str], None]) -> None:
    worker = shop.worker(shop.module(KINDS["global"]))
    taken = []
    with running(worker):
        worker.until_caught_up()
        for _ in range(100):
            since = time.monotonic()
            (order,) = shop.order()
            shop.joined.until([order])
            taken.append(time.monotonic() - since)
        assert worker.stop() == 0
    taken.sort()
    measured(f"an order's result is committed after {taken[50] * 1000:.0f} ms, p99 {taken[98] * 1000:.0f} ms")
    assert taken[50] < 0.1, taken


def test_a_broker_that_cannot_coordinate_transactions_is_reported_with_advice(
    tmp_path: Path, prefix: str, beside: Beside
) -> None:
    """A single broker with Kafka's defaults, which require three replicas of the transaction log."""
    broker = LocalBroker(tmp_path / "broker", properties={"transaction.state.log.replication.factor": "3"})
    broker.start()
    try:
        broker.wait_ready()
        stage = Stage(broker.bootstrap, prefix, beside, tmp_path)
        stage.send("customers", [customer("c1")])
        stage.send("orders", [order("o1")])
        worker = stage.worker(STAGE_KINDS["global"])
        with running(worker):
            worker.until_logged(r"transaction\.state\.log\.replication\.factor=1.* or set guarantee = ", 40)
            assert worker.stop() == 0
        other = stage.worker(STAGE_KINDS["global"], guarantee="at_least_once")
        with running(other):
            stage.until_joined(["o1"])
            assert other.stop() == 0
    finally:
        broker.stop()
