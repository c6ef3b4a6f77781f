"""Partitions of workers that stop or crash: others take them at once, or the worker keeps them if it comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.cluster.shops import KINDS, PARTITIONS, Shop
from tests.support.workers import running

SESSION = 20.0
"""Seconds: far longer than these tests, so that a test fails if it waits for the end of a session."""

MAY_TAKE = 8.0
"""Seconds from a signal until all partitions are processed again, most of which is the start of a process."""

INPUTS = {"global": 1, "copartitioned": 2}
"""The number of input topics: the orders, and the orders by customer."""

WAITS = "Wait(seconds=60).then(DeadLetter)"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopping_worker_hands_its_partitions_over_without_a_gap(
    shop: Shop, kind: str, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS[kind], missing=WAITS)
    workers = [shop.worker(module, name, session_timeout_s=str(SESSION)) for name in ("one", "two")]
    with running(*workers):
        with shop.open(pause=0.01):
            for worker in workers:
                worker.until_shared(INPUTS[kind] * PARTITIONS // 2)
            shop.joined.until(shop.order_everywhere())
            began = time.monotonic()
            workers[1].signal(signal.SIGTERM)
            shop.joined.until(shop.order_everywhere(), MAY_TAKE)
            took = time.monotonic() - began
            paused = shop.longest_pause(began, kind)
        assert workers[1].exit_code() == 0
        shop.judge()
    measured(f"handing over, {kind}: {took:.2f} s from SIGTERM until all partitions are processed, {paused:.2f} paused")
    assert not shop.dead_letters()


@pytest.mark.parametrize("how", ["killed", "stopped, to stay"])
def test_a_worker_that_restarts_within_its_session_continues_and_no_other_one_pauses(
    shop: Shop, how: str, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITS)
    settings = {"session_timeout_s": str(SESSION), "on_stop": "stay"}
    workers = [shop.worker(module, name, **settings) for name in ("one", "two")]
    with running(*workers):
        with shop.open(pause=0.01):
            mine = [{each["partition"] for each in worker.until_shared(PARTITIONS)["inputs"]} for worker in workers]
            shop.joined.until(shop.order_everywhere())
            began = time.monotonic()
            if how == "killed":
                workers[1].kill()
            else:
                assert workers[1].stop() == 0
            workers[1].start()
            assert {each["partition"] for each in workers[1].until_shared(PARTITIONS)["inputs"]} == mine[1]
            shop.joined.until(shop.order_everywhere(), MAY_TAKE)
            took = time.monotonic() - began
            paused = shop.longest_pause(began, "copartitioned")
        assert {each["partition"] for each in workers[0].until_shared(PARTITIONS)["inputs"]} == mine[0]
        for worker in workers:
            assert worker.alive(), worker.text
        shop.judge()
    measured(f"coming back, {how}: {took:.2f} s until all partitions are processed, {paused:.2f} paused")


def test_a_worker_whose_name_is_used_elsewhere_ends_with_the_reason(shop: Shop) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITS)
    first = shop.worker(module, session_timeout_s=str(SESSION))
    second = shop.worker(module, session_timeout_s=str(SESSION), directory=str(shop.directory / "elsewhere"))
    with running(first):
        first.until_shared(2 * PARTITIONS)
        with running(second):
            assert first.exit_code() != 0
            assert f"worker {shop.prefix}.one: requires a name that no other worker has" in first.text
            second.until_shared(2 * PARTITIONS)
            shop.order(20)
            shop.judge()
