"""Warm copies on another worker: they follow, identify themselves as copies, and take over without a restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.cluster.shops import KINDS, PARTITIONS, Shop
from tests.support.workers import Worker, running

WAITS = "Wait(seconds=60).then(DeadLetter)"

STORED = 40_000


def test_a_standby_follows_tables_and_waiting_records_and_takes_over_with_the_last_ones(
    shop: Shop, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITS)
    workers = [shop.worker(module, name, standby="1") for name in ("one", "two")]
    late = [f"late{number}" for number in range(8)]
    shop.flood(STORED)
    with running(*workers):
        for worker in workers:
            _until_warm(worker)
        with shop.open():
            waiting = shop.order(len(late) * 4, late)
            shop.joined.until(shop.order_everywhere())
            for worker in workers:
                worker.until(lambda status: status["joins"][0]["waiting"], what="waiting orders")
            began = time.monotonic()
            workers[1].kill()
            workers[0].until_shared(2 * PARTITIONS)
            shop.joined.until(shop.order_everywhere())
            took = time.monotonic() - began
            assert _waiting(workers[0]) == len(waiting), "it must hold the waiting records of both workers"
            shop.publish(late)
            shop.joined.until(waiting)
        shop.judge()
        read, there = _read(workers[0]), sum(map(len, shop.published.values()))
        measured(
            f"one of two workers is killed, with standbys: {took:.2f} s, {read - there} of {there} rows read again"
        )
        assert read == there, "the rows of the standby were read again"
        assert not shop.dead_letters()


def test_a_copy_identifies_itself_never_calls_a_key_absent_and_asks_the_owner(shop: Shop) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITS)
    workers = [shop.worker(module, name, standby="1") for name in ("one", "two")]
    table = f"{shop.prefix}.customers"
    with running(*workers):
        mine = [_until_warm(worker) for worker in workers]
        assert sorted([*mine[0], *mine[1]]) == list(range(PARTITIONS)), (
            "one processes each partition, the other one follows it"
        )
        shop.publish(shop.rows)
        for key, row in list(shop.rows.items())[:20]:
            for worker, partitions in zip(workers, mine, strict=True):
                state = "caught up" if shop.published[key][0].partition in partitions else "standby"
                worker.until(lambda _, worker=worker, row=row, key=key: _here(worker, table, key)[1]["row"] == row)
                assert _here(worker, table, key)[1]["state"] == state
                status, answer = worker.row(table, key)
                assert (status, answer["row"], answer["state"]) == (200, row, "caught up"), "the owner comes first"
        assert [worker.row(table, "nobody")[0] for worker in workers] == [404, 404]
        answers = [_here(worker, table, "nobody") for worker in workers]
        assert sorted(code for code, _ in answers) == [404, 503]
        (doubt,) = [answer for code, answer in answers if code == 503]
        assert "standby" in str(doubt)
        assert "ask the worker that processes it" in str(doubt)


def _here(worker: Worker, table: str, key: str) -> tuple[int, dict[str, Any]]:
    """Return a worker's answer for a key without a hop."""
    return worker.get(f"/tables/{table}/rows/{key}?local=1") or (0, {})


def test_without_the_setting_there_is_no_standby(shop: Shop) -> None:
    module = shop.module(KINDS["copartitioned"], missing=WAITS)
    workers = [shop.worker(module, name) for name in ("one", "two")]
    with running(*workers):
        for worker in workers:
            status = worker.until_shared(PARTITIONS)
            assert len(status["tables"][0]["partitions"]) == PARTITIONS // 2


def _until_warm(worker: Worker) -> set[int]:
    """Wait until a worker processes half of the partitions and has caught up with the rest, and return that half."""

    def warm(status: Mapping[str, Any]) -> bool:
        phases = sorted(each["phase"] for table in status["tables"] for each in table["partitions"])
        return len(status["inputs"]) == PARTITIONS and phases == ["caught_up"] * 2 + ["standby"] * 2

    status = worker.until(warm, what="two partitions and two standbys")
    return {each["partition"] for each in status["tables"][0]["partitions"] if each["phase"] == "caught_up"}


def _waiting(worker: Worker) -> int:
    _, status = worker.get("/services") or (0, {})
    return int(status["joins"][0]["waiting"])


def _read(worker: Worker) -> int:
    """Return the number of the table's records that this process has read, including those that it already had."""
    _, status = worker.get("/services") or (0, {})
    return sum(sum(table["counts"].values()) for table in status["tables"])
