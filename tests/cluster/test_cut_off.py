"""Workers that are cut off from their broker in any phase: they report it, answer, continue, and stop on request.

There are two ways: connections are closed and refused, or they stay open and nothing gets through. Each worker reaches
the broker through its own proxy, whose address the broker advertises to it.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from larder.local_broker.properties import Listener
from tests.cluster.shops import KINDS, Shop
from tests.support.beside import Beside, loop_beside
from tests.support.proxy import Proxy, Way
from tests.support.topics import admin, until
from tests.support.workers import Worker, none_left

NAMES = ("one", "two")
SESSIONS = {"rebalancing": "6"}  # seconds for which others wait for a silent worker
SAYS_WITHIN = 20  # seconds until a cut-off worker reports it; less than five on an idle machine
MAY_TAKE = 10  # seconds, to stop


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    with loop_beside() as beside:
        yield beside


@pytest.fixture(scope="module")
def ways(beside: Beside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Proxy]]]:
    """The broker's own address, and a proxy in front of it for each worker."""
    proxies = [Proxy(free_port(), free_port()) for _ in NAMES]
    listeners = [Listener(name.upper(), proxy.target, proxy.port) for name, proxy in zip(NAMES, proxies, strict=True)]
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), listeners=listeners)
    broker.start()
    try:
        broker.wait_ready()
        for proxy in proxies:
            beside.call(proxy.start())
        yield broker.bootstrap, proxies
        for proxy in proxies:
            beside.call(proxy.stop())
    finally:
        broker.stop()


class Field:
    """A shop, and two workers of its service, each behind a proxy."""

    def __init__(self, shop: Shop, kind: str, session: str, proxies: list[Proxy], beside: Beside) -> None:
        self.shop = shop
        self.kind = kind
        self.session = session
        self.partitions = {"global": 2, "copartitioned": 4}[kind]  # half of them: of orders, and of orders by customer
        self.proxies = proxies
        self.beside = beside
        self.workers = [
            self.worker(name, f"127.0.0.1:{proxy.port}") for name, proxy in zip(NAMES, proxies, strict=True)
        ]

    def worker(self, name: str, kafka: str) -> Worker:
        module = self.shop.module(KINDS[self.kind], missing="Wait(seconds=60).then(DeadLetter)")
        sessions = {"LARDER_SESSION_TIMEOUT_S": self.session}
        return Worker(kafka, self.shop.directory, module, self.shop.prefix, name, sessions)

    def set(self, way: Way, delay: float = 0.0) -> None:
        for proxy in self.proxies:
            self.beside.call(_set(proxy, way, delay))

    def run(self) -> None:
        """Start both, and wait until they share the partitions."""
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            worker.until_shared(self.partitions, 60)

    def stop(self) -> None:
        for worker in self.workers:
            assert worker.stop(MAY_TAKE) == 0


async def _set(proxy: Proxy, way: Way, delay: float) -> None:
    proxy.set(way, delay)


@pytest.fixture
def field(
    phase: str, kind: str, ways: tuple[str, list[Proxy]], prefix: str, beside: Beside, tmp_path: Path,
    chance: random.Random,
) -> Iterator[Field]:  # fmt: skip
    kafka, proxies = ways
    shop = Shop(kafka, prefix, beside, tmp_path, chance)
    field = Field(shop, kind, SESSIONS.get(phase, "1.5"), proxies, beside)
    with none_left(*field.workers):
        yield field
    field.set("open")
    shop.close()


@contextmanager
def starting(field: Field, way: Way) -> Iterator[None]:
    field.run()
    field.stop()
    field.set(way)
    for worker in field.workers:
        worker.start()
        worker.until_logged("answers at")
    yield


@contextmanager
def recovering(field: Field, way: Way) -> Iterator[None]:
    """New rows have arrived, which take some seconds to read."""
    field.run()
    field.stop()
    field.shop.flood(20_000)
    field.set("open", delay=0.2)
    for worker in field.workers:
        worker.start()
    for worker in field.workers:
        worker.until(_is_recovering, what="recovering")
    field.set(way)
    yield


def _is_recovering(status: dict[str, Any]) -> bool:
    """A worker recovers a global table before it joins the group, and a co-partitioned one after that."""
    states = [each["phase"] for table in status["tables"] for each in table["partitions"]]
    return status["phase"] == "recovering" or (bool(status["inputs"]) and "caught_up" not in states)


@contextmanager
def running_on(field: Field, way: Way) -> Iterator[None]:
    field.run()
    with field.shop.open():
        field.shop.joined.until(field.shop.order_everywhere())
        field.set(way)
        yield


@contextmanager
def committing(field: Field, way: Way) -> Iterator[None]:
    """Cut off a worker with an open transaction whose records were all sent."""
    for worker in field.workers:
        worker.start(dying_at="delivery.sent:4:SIGSTOP")
    with field.shop.open():
        for worker in field.workers:
            worker.until_stopped()
        field.set(way)
        for worker in field.workers:
            worker.signal(signal.SIGCONT)
        yield


@contextmanager
def rebalancing(field: Field, way: Way) -> Iterator[None]:
    """A third worker joins, which is not cut off; the second one delays the rebalance until both are cut off."""
    field.run()
    two, third = field.workers[1], field.worker("three", field.shop.kafka)
    with none_left(third), field.shop.open():
        two.signal(signal.SIGSTOP)
        third.start()
        field.beside.call(until(lambda: _is_changing(field.shop), 30, "a rebalance"))
        field.set(way)
        two.signal(signal.SIGCONT)
        yield
        third.until_running()
        assert third.stop(MAY_TAKE) == 0


async def _is_changing(shop: Shop) -> bool:
    async with admin(shop.kafka) as client:
        (answer,) = await client.describe_consumer_groups([shop.prefix])
        return bool(answer.groups[0][2] == "PreparingRebalance")


PHASES = {
    "starting": starting,
    "recovering": recovering,
    "running": running_on,
    "committing": committing,
    "rebalancing": rebalancing,
}
CASES = [
    (phase, way, list(KINDS)[(number + turn) % 2])
    for turn, way in enumerate(("cut", "held"))
    for number, phase in enumerate(PHASES)
]


@pytest.mark.parametrize(("phase", "way", "kind"), CASES)
def test_a_worker_that_is_cut_off_reports_it_answers_continues_and_stops(
    field: Field, phase: str, way: Way, measured: Callable[[str], None]
) -> None:
    one, two = field.workers
    with PHASES[phase](field, way):
        since = time.monotonic()
        for worker in field.workers:
            worker.until_logged(r"waiting for the broker at 127\.0\.0\.1", SAYS_WITHIN)
            worker.until(lambda status: status["phase"].startswith("waiting for the broker"), SAYS_WITHIN, "it says so")
        said = time.monotonic() - since
        for worker in field.workers:
            assert any(worker.row(f"{field.shop.prefix}.customers", f"c{n}")[0] == 200 for n in range(20)), worker.text
        since = time.monotonic()
        assert two.stop(MAY_TAKE) == 0, two.text
        stopped = time.monotonic() - since
        assert "Traceback" not in two.text, two.text
        field.set("open")
        since = time.monotonic()
        field.shop.joined.until(field.shop.order_everywhere())
        healed = time.monotonic() - since
        measured(
            f"{phase}, {way}: said after {said:.1f} s, stopped in {stopped:.1f} s, joins {healed:.1f} s after healing"
        )
    field.shop.judge()
    one.until_caught_up()
    assert re.search("waiting for the broker.*running", one.text, re.DOTALL)
    assert one.stop() == 0
    assert "Traceback" not in one.text, one.text
    assert not field.shop.dead_letters()


@pytest.mark.parametrize(
    ("way", "kind", "phase"), [("cut", "copartitioned", "stopping"), ("held", "global", "stopping")]
)
def test_a_worker_that_is_cut_off_while_it_stops_still_ends(
    field: Field, way: Way, measured: Callable[[str], None]
) -> None:
    one, two = field.workers
    with running_on(field, "open"):
        two.signal(signal.SIGTERM)
        field.set(way)
        since = time.monotonic()
        assert two.exit_code(MAY_TAKE) == 0, two.text
        measured(f"stopping, {way}: stopped in {time.monotonic() - since:.1f} s")
        assert "Traceback" not in two.text, two.text
        field.set("open")
        field.shop.joined.until(field.shop.order_everywhere())
    field.shop.judge()
    one.until_caught_up()
    assert one.stop() == 0
