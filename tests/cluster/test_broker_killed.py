"""A broker that is killed under load: workers report it, answer from their copies, continue, and stop on request."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from tests.cluster.shops import KINDS, Shop
from tests.support.beside import Beside
from tests.support.workers import Worker, none_left, running

MAY_TAKE = 10  # seconds, to stop


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """Yield a broker that these tests may kill."""
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), free_port())
    _start(broker)
    yield broker
    broker.stop()


@pytest.fixture
def kafka(broker: LocalBroker) -> str:
    if broker.running is None:
        _start(broker)
    return broker.bootstrap


def test_no_order_and_no_row_is_lost_when_the_broker_is_killed(
    broker: LocalBroker,
    kafka: str,
    prefix: str,
    beside: Beside,
    tmp_path: Path,
    chance: random.Random,
    measured: Callable[[str], None],
) -> None:
    shops = [Shop(kafka, f"{prefix}.{kind}", beside, tmp_path, chance) for kind in KINDS]
    workers = [
        shop.worker(shop.module(text, missing="Wait(seconds=60).then(DeadLetter)"))
        for shop, text in zip(shops, KINDS.values(), strict=True)
    ]
    with running(*workers):
        for shop, worker in zip(shops, workers, strict=True):
            worker.until_caught_up()
            shop.order(5, ["late"])
        with shops[0].open(), shops[1].open():
            for shop in shops:
                shop.joined.until(shop.order_everywhere())
            broker.kill()
            for shop, worker in zip(shops, workers, strict=True):
                worker.until_disconnected()
                _answers_from_its_copy(worker, f"{shop.prefix}.customers")
            _start(broker)
            since = time.monotonic()
            for shop in shops:
                shop.joined.until(shop.order_everywhere())
            measured(f"broker killed: orders are joined again {time.monotonic() - since:.2f} s after it is back")
            for shop in shops:
                shop.publish(["late"])
        for shop, worker in zip(shops, workers, strict=True):
            shop.judge()
            worker.until_caught_up()
            assert worker.stop() == 0
            assert shop.stored(worker) == shop.rows
            assert not shop.dead_letters()
            shop.close()


@pytest.mark.scenario("1.2")
def test_without_a_broker_workers_answer_for_each_other_and_call_nothing_absent(
    broker: LocalBroker, shop: Shop
) -> None:
    module, table = shop.module(KINDS["copartitioned"]), f"{shop.prefix}.customers"
    workers = [shop.worker(module, name) for name in ("one", "two", "three")]
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        for worker in workers:
            for key, row in shop.rows.items():
                worker.until(lambda _, worker=worker, row=row, key=key: worker.row(table, key)[1].get("row") == row)
            # No worker has a complete copy of a partition that moves when the broker dies, so lists refuse it.
            worker.until(
                lambda status, worker=worker: status["inputs"] and _whole(worker, table), what="a complete share"
            )
        broker.kill()
        for worker in workers:
            worker.until_disconnected()
        for worker in workers:
            for key, row in shop.rows.items():
                status, answer = worker.row(table, key)
                assert (status, answer.get("row"), answer["state"]) == (200, row, "disconnected"), answer
            assert worker.row(table, "nobody")[0] == 503
            status, answer = worker.get(f"/tables/{table}/rows") or (0, {})
            assert (status, len(answer.get("rows", ()))) == (200, len(shop.rows)), answer


def test_a_worker_without_its_broker_stops_within_ten_seconds_in_any_phase(
    broker: LocalBroker, shop: Shop, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS["copartitioned"], missing="Wait(seconds=60).then(DeadLetter)")
    busy, new = workers = [shop.worker(module, name) for name in ("busy", "new")]
    with none_left(*workers):
        busy.start().until_running()
        shop.order(5, ["late"])
        shop.order(3_000)
        broker.kill()
        new.start().until_logged("waiting for the broker")
        measured(f"broker away: a worker that waits for it stops in {_stopped(new):.1f} s")
        measured(f"broker away: a busy worker stops in {_stopped(busy):.1f} s")


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_whose_broker_hangs_stops_within_ten_seconds(
    broker: LocalBroker, shop: Shop, kind: str, measured: Callable[[str], None]
) -> None:
    """The connections stay open without answers, as if the network dropped all packets."""
    worker = shop.worker(shop.module(KINDS[kind]))
    with running(worker):
        worker.until_running()
        shop.order(3_000)
        with _hung(broker):
            measured(f"broker hangs: a worker with a {kind} table stops in {_stopped(worker):.1f} s")
        assert "Traceback" not in worker.text


@contextmanager
def _hung(broker: LocalBroker) -> Iterator[None]:
    process = broker.running
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def _whole(worker: Worker, table: str) -> bool:
    status, answer = worker.get(f"/tables/{table}/rows") or (0, {})
    return status == 200 and {each["state"] for each in answer["partitions"]} == {"caught up"}


def _answers_from_its_copy(worker: Worker, table: str) -> None:
    status, answer = worker.row(table, "c0")
    assert status == 200, answer
    assert answer["state"] == "disconnected"
    assert answer["freshness_s"] > 0
    assert worker.row(table, "nobody")[0] == 503


def _stopped(worker: Worker) -> float:
    """Stop a worker, and return the duration in seconds."""
    since = time.monotonic()
    assert worker.stop(MAY_TAKE) == 0, worker.text
    return time.monotonic() - since


def _start(broker: LocalBroker) -> None:
    broker.start()
    broker.wait_ready()
