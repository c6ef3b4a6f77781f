"""SIGTERM: a worker ends with code 0 within ten seconds in any phase, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster.shops import KINDS, Shop
from tests.support.topics import delete
from tests.support.workers import Worker, none_left, running

MAY_TAKE = 10  # seconds


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_worker_stops_at_once_and_the_next_continues_from_there(
    shop: Shop, kind: str, measured: Callable[[str], None]
) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing="Wait(seconds=60).then(DeadLetter)"))
    took = []
    with none_left(worker), shop.open(pause=0.001):
        shop.order(5, ["late"])
        for _ in range(2):
            worker.start().until_running()
            shop.joined.until(shop.order_everywhere())
            took.append(_stopped(worker))
        shop.publish(["late"])
    with running(worker):
        shop.judge()
        repeated = len(shop.joined.records) - len(shop.orders)
        _stopped(worker)
    measured(f"stopping under load, {kind}: at most {max(took):.2f} s; {repeated} of {len(shop.orders)} orders twice")
    # Records that were settled before the stop are not processed again.
    assert repeated == 0
    assert not shop.dead_letters()


def test_a_worker_stops_while_it_waits_for_topics_of_others_and_while_it_reads_its_tables(
    shop: Shop, measured: Callable[[str], None]
) -> None:
    worker = shop.worker(shop.module(KINDS["global"]))
    shop.flood(200_000)
    with running(worker):
        worker.until_logged("recovering")
        worker.until(lambda status: status["tables"][0]["rows"], what="a table that is being read")
        assert worker.get("/services")[1]["phase"] == "recovering", "it must still be reading"
        took = [_stopped(worker)]
        shop.beside.call(delete(shop.kafka, f"{shop.prefix}.orders"))
        worker.start().until_logged(f"waiting for topics of other owners: {shop.prefix}.orders")
        took.append(_stopped(worker))
    measured(f"stopping while recovering {took[0]:.2f} s, while waiting for topics {took[1]:.2f} s")


def _stopped(worker: Worker) -> float:
    """Stop a worker, and return the duration in seconds."""
    since = time.monotonic()
    assert worker.stop(MAY_TAKE) == 0, worker.text[-4000:]
    return time.monotonic() - since
