"""Rows on the command line while two workers share a table: each worker returns all rows."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.support.beside import Beside, repeated
from tests.support.topics import COMPACTED, create, send
from tests.support.workers import COMMAND, Worker, larder, running

MODULE = """
    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Customer(Row):
        customer_id: str
        city: str
        visits: int
        revision: int

    class Order(Row):
        order_id: str
        customer_id: str

    class Joined(Order):
        customer: Customer | None

    service = Service("{0}")
    held = service.table(OwnerTopic("{0}.customers", Customer, key="customer_id", revision="revision",
                                    indexes=["city"], owner="crm"))
    service.join(EventTopic("{0}.orders", Order, key="order_id").by("customer_id"), held,
                 into=EventTopic("{0}.joined", Joined, key="order_id"), missing=PassOn)
"""


def customer(number: int, revision: int = 1) -> tuple[str, dict[str, Any]]:
    key = f"c{number:03}"
    return key, {"customer_id": key, "city": "Rome" if number % 2 else "Oslo", "visits": revision, "revision": revision}


class Watching:
    """`larder watch`, and the lines that it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, key: str, revision: int, timeout: float = 30, *, or_reset: bool = False) -> None:
        """Wait until a row is shown, or a reset if allowed."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                change = json.loads(self._lines.get(timeout=max(0.0, deadline - time.monotonic())))
            except Empty:
                message = f"waited {timeout} s for {key} to be shown"
                raise AssertionError(message) from None
            if "reset" in change:
                assert or_reset, "a reset without a missed change"
                return
            if change["key"] == key and change["row"]["revision"] >= revision:
                return

    def until_shown(self, pattern: str, timeout: float = 30) -> None:
        """Wait until a line of plain text is shown."""
        deadline = time.monotonic() + timeout
        while not re.fullmatch(pattern, self._lines.get(timeout=max(0.0, deadline - time.monotonic())).rstrip("\n")):
            pass


class Pair:
    """Two workers that share a table of 40 customers, and commands."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.customers = f"{prefix}.customers"
        self._kafka, self._directory, self._beside = kafka, directory, beside
        self._module = MODULE.format(prefix)
        beside.call(create(kafka, {self.customers: 4}, COMPACTED))
        beside.call(create(kafka, {f"{prefix}.orders": 4}))
        self.send(range(40), 1)
        self.one, self.two = (Worker(kafka, directory, self._module, prefix, name) for name in ("one", "two"))

    def send(self, numbers: Iterable[int], revision: int) -> None:
        rows = [customer(number, revision) for number in numbers]
        self._beside.call(send(self._kafka, self.customers, rows))

    def until_shared(self) -> None:
        """Wait until each has half of the partitions of orders, and of orders by customer."""
        self.one.until_shared(4)
        self.two.until_shared(4)

    def publish(self, number: int, revision: int) -> str:
        """Publish a row as its owner, and return the token."""
        _, row = customer(number, revision)
        token: str = self.ask("publish", self.customers, "--as", "crm", json.dumps(row))["token"]
        return token

    def ask(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        ended = larder(*arguments, "--json", kafka=self._kafka, directory=self._directory, module=self._module)
        assert ended.returncode == code, ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    def watch(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*COMMAND, "watch", self.customers, *arguments]
        environment = self.one._environ()
        return subprocess.Popen(command, cwd=self._directory, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def pair(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Pair:
    return Pair(kafka, prefix, beside, tmp_path)


def test_any_worker_lists_all_rows(pair: Pair) -> None:
    table, keys = pair.customers, [customer(number)[0] for number in range(40)]

    def keys_of(*arguments: str) -> list[str]:
        return [each["key"] for each in pair.ask(*arguments)["rows"]]

    with running(pair.one, pair.two):
        pair.until_shared()
        first = pair.ask("scan", table, "--limit", "15")
        assert [each["key"] for each in first["rows"]] == keys[:15]
        assert keys_of("scan", table, "--cursor", first["next"]) == keys[15:]
        assert keys_of("scan", table, "--prefix", "c01") == keys[10:20]
        assert keys_of("scan", table, "--from", "c005", "--to", "c007") == keys[5:7]
        assert keys_of("by", table, "city", "Rome") == keys[1::2]
        many = pair.ask("many", table, "c039", "nobody", "c000", code=1)["rows"]
        assert [each["row"] and each["row"]["customer_id"] for each in many] == ["c039", None, "c000"]
        assert pair.ask("get", table, "c007")["row"] == customer(7)[1]
        assert pair.ask("get", table, "nobody", code=1)["type"] == "urn:larder:no-such-key"
        assert pair.ask("scan", table, "--cursor", "forged", code=2)["error"].startswith("cursor ")
        assert "no_index" in pair.ask("by", table, "no_index", "x", code=2)["error"]
        held = [each["partition"] for one in pair.ask("tables", table)["tables"] for each in one["partitions"]]
        assert sorted(held) == [0, 1, 2, 3]
        (service,) = pair.ask("services")["services"]
        assert (service["state"], service["lag"]) == ("running", 0)
        assert service["tables"] == [{"table": table, "held": "partition", "state": "caught up", "lag": 0}]


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_watching_resumes_with_another_worker_until_ctrl_c(pair: Pair, killed: bool) -> None:  # noqa: FBT001
    with running(pair.one, pair.two):
        pair.until_shared()
        watching = Watching(pair.watch("--json"))
        try:
            with _changing(pair):
                watching.until("c003", 2)
            pair.send([39], 2)
            watching.until("c039", 2)
            watching.process.send_signal(signal.SIGSTOP)
            if killed:
                pair.one.kill()  # without announcing that partitions move
            else:
                assert pair.one.stop() == 0
            pair.two.until_shared(8)
            # Sent once, while the client is stopped: a lost change stays lost.
            pair.send(range(8), 1_000)
            pair.two.until_caught_up()
            watching.process.send_signal(signal.SIGCONT)
            watching.until("c003", 1_000, or_reset=True)
            watching.process.send_signal(signal.SIGINT)
            assert watching.process.wait(20) == 0
        finally:
            watching.process.kill()
            watching.process.wait()


def test_a_publisher_reads_its_writes_from_any_worker_by_the_token(pair: Pair) -> None:
    with running(pair.one, pair.two):
        pair.until_shared()
        for number in range(6):
            token = pair.publish(number, 2)
            key = customer(number)[0]
            for worker in (pair.one, pair.two):
                path = f"/tables/{pair.customers}/rows/{key}?after={token}&within=10"
                status, answer = worker.get(path) or (0, {})
                assert (status, answer.get("revision")) == (200, 2), answer
        token = pair.publish(7, 3)
        for worker in (pair.one, pair.two):
            status, answer = worker.get(f"/tables/{pair.customers}/rows?after={token}&within=10") or (0, {})
            assert (status, {each["key"]: each["revision"] for each in answer["rows"]}["c007"]) == (200, 3)


def test_watching_without_json_prints_a_line_for_each_change(pair: Pair) -> None:
    with running(pair.one, pair.two):
        pair.until_shared()
        watching = Watching(pair.watch("--prefix", "c003"))
        try:
            with _changing(pair):
                watching.until_shown(r'c003  {"customer_id":"c003","city":"Rome","visits":\d+,"revision":\d+}')
            watching.process.send_signal(signal.SIGINT)
            assert watching.process.wait(20) == 0
        finally:
            watching.process.kill()
            watching.process.wait()


def _changing(pair: Pair) -> AbstractContextManager[None]:
    """Change some rows repeatedly: the client shows only changes after it has connected."""
    revisions = count(2)
    return repeated(lambda: pair.send(range(8), next(revisions)))
