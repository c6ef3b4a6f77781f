"""The cost of a restart: it reads only missed records, however large the store is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.shops import KINDS, Shop
from tests.support.beside import Beside
from tests.support.workers import Worker, running

STORED = 20_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_reads_only_what_it_missed(
    kafka: str,
    prefix: str,
    beside: Beside,
    tmp_path: Path,
    chance: random.Random,
    kind: str,
    measured: Callable[[str], None],
) -> None:
    shop = Shop(kafka, prefix, beside, tmp_path, chance, customers=STORED)
    worker = shop.worker(shop.module(KINDS[kind]))
    with running(worker):
        worker.until_caught_up()
        assert _read(worker) == len(shop.published)
        costs = []
        for missed in (0, 100_000):
            worker.kill()
            changed = [f"c{number}" for number in range(1_000)]
            shop.flood(missed, changed)
            orders = shop.order(200, changed)
            began = time.monotonic()
            worker.start().until_caught_up()
            costs.append(f"{missed} missed: read {_read(worker)} in {time.monotonic() - began:.1f} s from its start")
            assert _read(worker) == missed
            # All rows that were published before the start came before the orders.
            shop.judge()
            shop.judge_newest(orders)
        measured(f"restart, {kind}, {len(shop.rows)} rows stored; " + "; ".join(costs))
        assert worker.stop() == 0
    assert shop.stored(worker) == shop.rows
    shop.close()


def _read(worker: Worker) -> int:
    """Return the number of the table's records that this process has read, including those that it already had."""
    _, status = worker.get("/services") or (0, {})
    return sum(sum(table["counts"].values()) for table in status["tables"])
