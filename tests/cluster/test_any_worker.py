"""Any worker answers for any key: real workers, through kills, restarts and a broker that goes away."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.cluster.shops import KINDS, PARTITIONS, Shop
from tests.support.workers import Worker, running

NAMES = ("one", "two", "three")

PAUSE = 0.003
"""Seconds between two requests: without a pause, they would take CPU time from the restarting worker."""


def _workers(shop: Shop, standby: str = "0", **settings: str) -> list[Worker]:
    module = shop.module(KINDS["copartitioned"])
    return [shop.worker(module, name, standby=standby, **settings) for name in NAMES]


def _answer_everywhere(shop: Shop, workers: list[Worker]) -> None:
    """Wait until every worker returns each published row, and check that it returns 404 for absent keys."""
    table = f"{shop.prefix}.customers"
    for worker in workers:
        for key, row in shop.rows.items():
            worker.until(lambda _, worker=worker, row=row, key=key: worker.row(table, key)[1].get("row") == row)
        for number in range(12):
            assert worker.row(table, f"nobody{number}")[0] == 404


def _listed(worker: Worker, path: str) -> list[str] | None:
    """Return the keys of all pages of a list; None if a page is refused."""
    keys: list[str] = []
    cursor = ""
    while True:
        status, answer = worker.get(f"{path}&limit=7{cursor}") or (0, {})
        if status != 200:
            return None
        keys += [each["key"] for each in answer["rows"]]
        if answer["next"] is None:
            return keys
        cursor = f"&cursor={answer['next']}"


@pytest.mark.scenario("4.6")
@pytest.mark.scenario("1.5")
def test_each_of_three_workers_answers_for_every_key_and_lists_every_row(shop: Shop) -> None:
    workers, table = _workers(shop), f"{shop.prefix}.customers"
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        _answer_everywhere(shop, workers)
        keys = sorted(shop.rows)
        for worker in workers:
            assert _listed(worker, f"/tables/{table}/rows?from=") == keys
            assert _listed(worker, f"/tables/{table}/rows?prefix=c1") == [key for key in keys if key.startswith("c1")]
            query = "&".join(f"key={key}" for key in [*keys, "nobody"])
            status, answer = worker.get(f"/tables/{table}/rows?{query}") or (0, {})
            assert (status, [each["row"] for each in answer["rows"]]) == (200, [*map(shop.rows.get, keys), None])
            _, services = worker.get("/services") or (0, {})
            assert [each["worker"] for each in services["workers"]] == sorted(NAMES)
            shared = [each["partitions"][table] for each in services["workers"]]
            assert sorted(chain.from_iterable(shared)) == list(range(PARTITIONS))
            assert (worker.get("/health/ready") or (0, {}))[0] == 200
            _, answer = worker.get(f"/tables/{table}") or (0, {})
            assert [(each["partition"], each["state"]) for each in answer["partitions"]] == [
                (partition, "caught up") for partition in range(PARTITIONS)
            ]
            assert answer["rows"] == len(shop.rows)
        gone = [f"d{number}" for number in range(10)]
        shop.delete(gone)
        for worker in workers:
            for key in gone:
                worker.until(
                    lambda _, worker=worker, key=key: worker.row(table, key)[0] == 404, what="404 from every worker"
                )
        _answer_everywhere(shop, workers)


def test_a_partition_without_a_worker_is_named_until_one_has_it(shop: Shop) -> None:
    workers, table = _workers(shop, session_timeout_s="6", on_stop="stay"), f"{shop.prefix}.customers"
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        _answer_everywhere(shop, workers)
        workers[2].kill()
        said: dict[str, dict[str, Any]] = {}
        for key in shop.rows:
            status, answer = workers[0].row(table, key)
            assert status in {200, 503}
            if status == 503:
                said[key] = answer
        assert said, "the third worker had no key"
        for key, answer in said.items():
            assert answer["type"] in {"urn:larder:unserved", "urn:larder:recovering"}, (key, answer)
            assert answer["partition"] == shop.published[key][0].partition
        assert _listed(workers[0], f"/tables/{table}/rows?from=") is None
        for worker in workers[:2]:
            worker.until(
                lambda _, worker=worker: all(worker.row(table, key)[0] == 200 for key in said),
                40,
                "the others to take over",
            )
        assert _listed(workers[1], f"/tables/{table}/rows?from=") == sorted(shop.rows)


def test_a_worker_that_comes_back_within_its_session_is_found_at_its_new_port(shop: Shop) -> None:
    workers = _workers(shop, session_timeout_s="30", on_stop="stay")
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        _answer_everywhere(shop, workers)
        before = [each["partitions"] for each in (workers[0].get("/services") or (0, {}))[1]["workers"]]
        assert workers[2].stop() == 0
        workers[2].start()
        workers[2].until_caught_up()
        _answer_everywhere(shop, workers)
        listed = (workers[0].get("/services") or (0, {}))[1]["workers"]
        assert [each["partitions"] for each in listed] == before, "no partition may move"
        assert next(each["web"] for each in listed if each["worker"] == "three") in workers[2].text


def test_a_copy_answers_for_a_hanging_owner_and_reports_its_age(shop: Shop) -> None:
    workers, table = _workers(shop, "1", session_timeout_s="8"), f"{shop.prefix}.customers"
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        _answer_everywhere(shop, workers)
        workers[2].signal(signal.SIGSTOP)
        states = Counter[str]()
        for key, row in list(shop.rows.items())[:24]:
            status, answer = workers[0].row(table, key)
            assert (status, answer.get("row")) == (200, row), answer
            states[answer["state"]] += 1
            assert answer["freshness_s"] is not None
        assert states["standby"], states
        workers[2].signal(signal.SIGCONT)


def test_any_overview_names_the_worker_that_hangs_and_its_unprocessed_partitions(
    shop: Shop,
) -> None:
    workers = _workers(shop, session_timeout_s="30")[:2]
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        one, two = workers
        one.until(lambda _: "All is well" in one.page("/"), what="an overview without problems")
        two.signal(signal.SIGSTOP)
        two.until_stopped()
        page = one.page("/")
        two.signal(signal.SIGCONT)
        assert "Worker two does not answer" in page
        assert "on a worker that does not answer; held by two" in page
        assert "All is well" not in page
        one.until(lambda _: "All is well" in one.page("/"), what="an overview without problems again")


def test_a_rolling_restart_of_three_workers_gives_no_wrong_answer(shop: Shop, measured: Callable[[str], None]) -> None:
    workers, table = _workers(shop, "1"), f"{shop.prefix}.customers"
    rows = shop.rows
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        _answer_everywhere(shop, workers)
        with _asking(workers, table, rows) as answers:
            for worker in workers:
                before = len(answers)
                assert worker.stop() == 0
                worker.start()
                for each in workers:
                    each.until_caught_up(60)
                assert any(each.status == 200 for each in answers[before:]), "no worker answered during a restart"
        for worker in workers:
            worker.until_caught_up(60)
        _answer_everywhere(shop, workers)
    wrong = [
        each
        for each in answers
        if (each.status == 200 and each.row != rows.get(each.key, "none")) or (each.status == 404 and each.key in rows)
    ]
    assert not wrong, wrong[:5]
    kinds = Counter(f"{each.status} {each.kind}" for each in answers)
    measured(f"a rolling restart of three workers: answers (0: the worker was away) {dict(sorted(kinds.items()))}")
    assert sum(each.status == 200 for each in answers) > 100
    assert {(each.status, each.kind) for each in answers} <= {
        (0, "away"),
        (200, "caught up"),
        (200, "standby"),
        (200, "starting"),
        (200, "recovering"),
        (200, "disconnected"),
        (404, "urn:larder:no-such-key"),
        (503, "urn:larder:recovering"),
        (503, "urn:larder:unserved"),
        (503, "urn:larder:not-here"),
    }


class Answer(NamedTuple):
    """The answer to a request for a key. `kind` is the state of a row, or the type of an error."""

    key: str
    status: int
    kind: str
    row: Any


@contextmanager
def _asking(workers: list[Worker], table: str, rows: dict[str, Any]) -> Iterator[list[Answer]]:
    """Request existing and absent keys in turn, each from the next worker, during the block."""
    answers: list[Answer] = []
    stop = threading.Event()

    def ask() -> None:
        number = 0
        keys = [*rows, "nobody", "nothing"]
        while not stop.wait(PAUSE):
            worker, key = workers[number % len(workers)], keys[number % len(keys)]
            number += 1
            try:
                status, body = worker.get(f"/tables/{table}/rows/{quote(key)}") or (0, {})
            except (OSError, json.JSONDecodeError):
                status, body = 0, {}
            answers.append(Answer(key, status, body.get("state" if status == 200 else "type", "away"), body.get("row")))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()
