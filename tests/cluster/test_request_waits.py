"""Clients wait over HTTP until a row satisfies a predicate, at whichever worker, while partitions move."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest

from larder.kafka.partitioner import partition_of
from larder.web.peers.row_waits import MOST_WAITS
from tests.cluster.reservations import Reservations, reserving
from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.eventually import eventually
from tests.support.later import require_retry_after
from tests.support.topics import until
from tests.support.workers import Worker

WAITING = "/reservations?until=sold_out&wait=10"


@pytest.fixture(scope="module")
def reservations(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reservations]:
    with reserving(kafka, tmp_path_factory.mktemp("waits"), unique("waits")) as found:
        yield found


@pytest.fixture
def item(request: pytest.FixtureRequest) -> str:
    """An item that no other test reserves."""
    return unique(request.node.name)


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(10) as pool:
        yield pool


def reserve(worker: Worker, item: str, amount: int = 1, address: str = "/reservations") -> tuple[int, Any]:
    return worker.post(address, {"item": item, "reservation": "r", "amount": amount})


def wait_at_each(reservations: Reservations, item: str, clients: ThreadPoolExecutor) -> list[Future[tuple[int, Any]]]:
    """Let a client at each worker reserve one, and wait until the item is sold out."""
    assert reserve(reservations.workers[0], item, 2)[0] == 201
    waiting = [clients.submit(reserve, worker, item, 1, WAITING) for worker in reservations.workers]
    deadline = time.monotonic() + 10
    while reserve(reservations.workers[0], item, 0)[1]["row"]["reserved"] < 5:
        assert time.monotonic() < deadline, "waited 10 s for the three reservations"
        time.sleep(0.05)
    return waiting


def test_a_client_is_answered_as_soon_as_the_row_satisfies_the_predicate(
    reservations: Reservations, item: str, clients: ThreadPoolExecutor
) -> None:
    waiting = wait_at_each(reservations, item, clients)
    reads = [
        clients.submit(worker.get, f"/tables/{reservations.name}.stock/rows/{item}?until=sold_out&wait=4s")
        for worker in reservations.workers
    ]
    time.sleep(0.3)
    assert not any(each.done() for each in (*waiting, *reads))
    began = time.monotonic()
    assert reserve(reservations.workers[2], item, 5)[0] == 200
    for each in waiting:
        status, body = each.result()
        assert (status, body["row"]["reserved"]) == (200, 10)
    for read in reads:
        status, body = read.result() or (0, {})
        assert (status, body["row"]["reserved"]) == (200, 10)
    assert time.monotonic() - began < 3
    assert reserve(reservations.workers[0], item, 1, WAITING)[0] == 409, "a refusal is answered at once"
    assert time.monotonic() - began < 5


def test_who_has_waited_too_long_can_go_on_waiting(
    reservations: Reservations, item: str, clients: ThreadPoolExecutor
) -> None:
    for worker in reservations.workers:
        body = {"item": item, "reservation": "r", "amount": 1}
        status, answer, headers = worker.posted("/reservations?until=sold_out&wait=0.2", body)
        assert (status, answer["row"]["reserved"] < 10) == (202, True)
        further = headers["Location"]
        assert further.startswith(f"/tables/{reservations.name}.stock/rows/{item}?wait=0.2&until=sold_out&after=")
        assert (worker.get(further) or (0, {}))[0] == 202
    longer = [clients.submit(worker.get, further.replace("wait=0.2", "wait=4")) for worker in reservations.workers]
    assert reserve(reservations.workers[1], item, 7)[0] == 200
    assert [(each.result() or (0, {}))[0] for each in longer] == [200, 200, 200]


def test_a_row_that_satisfied_it_before_the_request_does_not_count(reservations: Reservations, item: str) -> None:
    assert reserve(reservations.workers[0], item, 10)[0] == 201
    for worker in reservations.workers:
        assert worker.post(f"/reservations/{item}/release?until=sold_out", {})[:2][0] == 200
        status, body = reserve(worker, item, 3, "/reservations?until=sold_out&wait=0.3")
        assert (status, body["row"]["reserved"]) == (202, 3)
        assert reserve(worker, item, 7)[0] == 200


def test_a_deleted_row_ends_the_wait(reservations: Reservations, item: str, clients: ThreadPoolExecutor) -> None:
    waiting = wait_at_each(reservations, item, clients)
    assert reservations.workers[0].post(f"/reservations/{item}/release", {})[0] == 200
    assert [(each.result()[0], each.result()[1]["row"]) for each in waiting] == [(200, None)] * 3


def test_a_wait_survives_the_worker_that_has_the_row(
    reservations: Reservations, item: str, clients: ThreadPoolExecutor
) -> None:
    owner, others = reservations.owner_of(item), reservations.others(item)
    waiting = [clients.submit(reserve, worker, item, 1, WAITING) for worker in others]
    time.sleep(0.5)
    owner.kill()
    status, answer = 503, None
    deadline = time.monotonic() + 9
    while status == 503 and time.monotonic() < deadline:
        status, answer = reserve(others[0], item, 8)
    assert status == 200, answer
    assert [each.result()[0] for each in waiting] == [200, 200]
    owner.start()
    owner.until_caught_up()


def test_a_wait_that_cannot_be_decided_says_so(reservations: Reservations) -> None:
    worker = reservations.workers[0]
    status, problem = reserve(worker, "broken-one", 1, WAITING)
    assert (status, "no predicate for this one" in problem["detail"]) == (500, True)
    assert reserve(worker, "broken-one", 0)[1]["row"]["reserved"] == 1, "the request counts"
    status, problem = reserve(worker, "unknown", 1, "/reservations?until=nothing")
    assert (status, "sold_out" in problem["detail"]) == (400, True)
    assert (worker.get(f"/tables/{reservations.name}.stock/rows/unknown") or (0,))[0] == 404, "nothing happened"


@pytest.mark.parametrize("spread", [1, 1_000], ids=["one key", "a thousand keys"])
def test_a_thousand_waits_leave_room_for_others_and_vanish_with_their_clients(
    reservations: Reservations, item: str, beside: Beside, spread: int
) -> None:
    worker = reservations.workers[0]
    deadline = time.monotonic() + 20
    while (status := reserve(worker, item)[0]) == 503:
        assert time.monotonic() < deadline, "waited 20 s for the partitions to have workers after an earlier test"
    assert status == 201
    rows, keys = f"/tables/{reservations.name}.stock/rows", _keys_elsewhere(reservations, item, spread)
    waits = [f"{rows}/{keys[number % spread]}?wait=10" for number in range(1_000)]
    for count, refused in ((1_000, 500), (500, 0)):
        # A wait of an earlier client, which is gone, may keep its place for a moment.
        eventually(
            lambda count=count: beside.call(_crowd(worker.web_port(), waits[:count], f"{rows}/{item}")),
            lambda found, refused=refused: found == refused,
            10,
        )


def _keys_elsewhere(reservations: Reservations, item: str, count: int) -> list[str]:
    """Return keys without rows, in partitions that the first worker does not have."""
    status = reservations.workers[0].until_caught_up()
    table = next(each for each in status["tables"] if each["table"] == f"{reservations.name}.stock")
    mine = {each["partition"] for each in table["partitions"] if each["phase"] == "caught_up"}
    keys = (f"{item}-{number}" for number in itertools.count())
    return list(itertools.islice((key for key in keys if partition_of(key.encode(), 4) not in mine), count))


async def _crowd(port: int, waits: list[str], row: str) -> int:
    """Wait at these addresses at once; return how many were refused, and fail if others are slower meanwhile."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        await _connect(session, min(len(waits), 900))
        before = await _took(session, row)
        waiting = [asyncio.ensure_future(_status(session, each)) for each in waits]
        refused = len(waits) - MOST_WAITS
        await until(lambda: sum(each.done() for each in waiting) >= refused, 9, "the refusals")
        during = await _took(session, row)
        assert await _status(session, "/health/live") == 200
        answered = [each.result() for each in waiting if each.done()]
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert {*answered} <= {503}
    assert during < 3 * before + 0.05, "look-ups are slower while others wait"
    return len(answered)


async def _connect(session: aiohttp.ClientSession, count: int) -> None:
    """Open so many connections. Those of an earlier client, which is gone, may be in their way for a moment."""
    deadline = time.monotonic() + 10
    while {*await asyncio.gather(*(_status(session, "/nothing") for _ in range(count)))} != {404}:
        assert time.monotonic() < deadline, "waited 10 s for the connections of clients that are gone to end"
        await asyncio.sleep(0.1)


async def _status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as answer:
        require_retry_after(answer.status, answer.headers)
        return answer.status


async def _took(session: aiohttp.ClientSession, row: str) -> float:
    """Return how many seconds nine in ten look-ups take at most."""
    took = []
    for _ in range(100):
        since = time.perf_counter()
        assert await _status(session, row) == 200
        took.append(time.perf_counter() - since)
    return statistics.quantiles(took, n=10)[-1]
