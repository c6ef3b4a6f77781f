"""Clients change rows over HTTP: any worker takes a request, and answers once the decision is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.support.beside import Beside
from tests.support.topics import read
from tests.support.workers import Worker, running

MODULE = """
from datetime import UTC, datetime, timedelta

from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service, Wake
from larder.types import WakeUp


class Reserve(Row):
    item: str
    reservation: str
    amount: int = 1


class Release(Row):
    item: str


class Stock(Row):
    item: str
    reserved: int
    revision: int = 0


class Reserved(Row):
    item: str
    reservation: str


class Delivery(Row):
    item: str
    amount: int


stock_topic = OwnerTopic("{prefix}.stock", Stock, key="item", revision="revision", partitions=4)
reserved = EventTopic("{prefix}.reserved", Reserved, key="item")
service = Service("{prefix}")
stock = service.table(stock_topic)


@service.request("POST /reservations", state=stock, into=reserved)
def reserve(request: Reserve, row: Stock | None) -> Decision:
    if request.amount < 0:
        raise ValueError("less than nothing")
    before = row.reserved if row else 0
    if before + request.amount > 10:
        return Decision(refuse=f"10 there are, {before} are reserved")
    event = Reserved(item=request.item, reservation=request.reservation)
    return Decision(Stock(item=request.item, reserved=before + request.amount), emit=event)


@service.request("POST /reservations/{item}/release", state=stock)
def release(request: Release, row: Stock | None) -> Decision:
    return Decision(Delete(request.item)) if row else Decision(refuse="nothing is reserved")
"""


@pytest.fixture
def workers(kafka: str, prefix: str, tmp_path: Path) -> Iterator[list[Worker]]:
    module = MODULE.replace("{prefix}", prefix)
    workers = [Worker(kafka, tmp_path, module, prefix, name) for name in ("one", "two", "three")]
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        yield workers
        for worker in workers:
            assert worker.stop() == 0, worker.text[-4000:]


def test_ten_of_a_hundred_concurrent_requests_get_what_there_is(
    workers: list[Worker], kafka: str, prefix: str, beside: Beside
) -> None:
    def order(number: int) -> tuple[int, dict[str, object]]:
        return workers[number % 3].post("/reservations", {"item": "ring", "reservation": f"r{number}"})

    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(order, range(100)))
    assert Counter(status for status, _ in answers) == {201: 1, 200: 9, 409: 90}, answers
    assert sorted(body["revision"] for status, body in answers if status < 300) == list(range(1, 11))
    assert {body["reason"] for status, body in answers if status == 409} == {"10 there are, 10 are reserved"}
    assert {body["worker"] for status, body in answers if status < 300} <= {"one", "two", "three"}
    got = {f"r{number}" for number, (status, _) in enumerate(answers) if status < 300}
    events = [msgspec.json.decode(each.value) for each in beside.call(read(kafka, f"{prefix}.reserved"))]
    assert sorted(each["reservation"] for each in events) == sorted(got)
    assert len(beside.call(read(kafka, f"{prefix}.refusals"))) == 90


def test_any_worker_takes_a_request_for_any_key(workers: list[Worker], prefix: str) -> None:
    for number, worker in enumerate(workers * 4):
        item = f"item{number}"
        status, body = worker.post("/reservations", {"item": item, "reservation": "r"})
        assert (status, body["row"]) == (201, {"item": item, "reserved": 1, "revision": body["revision"]})
        assert worker.row(f"{prefix}.stock", item)[0] in {200, 404}
        status, body = worker.post(f"/reservations/{item}/release", {})
        assert (status, body["row"], body["key"]) == (200, None, item)
        assert worker.post(f"/reservations/{item}/release", b"")[0] == 409


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"item": "ring"}, 422, "`reservation`"),
        ({"item": "ring", "reservation": "r", "amount": "two"}, 422, "$.amount"),
        ({"item": "ring", "reservation": "r", "colour": "red"}, 422, "$.colour"),
        (b"{", 422, "no JSON"),
        (b"[]", 422, "no JSON object"),
        ({"item": "ring", "reservation": "r", "amount": -1}, 500, "less than nothing"),
    ],
)
def test_a_request_that_is_not_valid_changes_nothing(
    workers: list[Worker], prefix: str, body: object, status: int, part: str
) -> None:
    found, problem = workers[0].post("/reservations", body)
    assert (found, part in problem["detail"]) == (status, True), problem
    assert workers[0].row(f"{prefix}.stock", "ring")[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_change_anything(
    workers: list[Worker], headers: dict[str, str], status: int
) -> None:
    body = {"item": "ring", "reservation": "r"}
    assert workers[0].post("/reservations", body, headers)[0] == status


def test_a_worker_that_is_killed_leaves_no_decision_half_done(workers: list[Worker]) -> None:
    """Each client knows whether its request counts, or that it is unknown; what is known is right."""

    def order(number: int) -> tuple[int, dict[str, object]]:
        return workers[1 + number % 2].post("/reservations", {"item": f"item{number % 40}", "reservation": "r"})

    with ThreadPoolExecutor(20) as clients:
        asked = [clients.submit(order, number) for number in range(200)]
        workers[0].kill()
        answers = [each.result() for each in asked]
    known = Counter(body["key"] for status, body in answers if status < 300)
    unknown = sum(status >= 500 for status, _ in answers)
    assert {status for status, _ in answers} <= {200, 201, 503}, answers
    rows = {key: workers[1].post("/reservations", {"item": key, "reservation": "r"})[1]["row"] for key in known}
    extra = {key: row["reserved"] - 1 - known[key] for key, row in rows.items()}
    assert all(each >= 0 for each in extra.values()), "a decision that was answered is lost"
    assert sum(extra.values()) <= unknown, "a decision counts that no client may have asked for"
    workers[0].start()
    workers[0].until_caught_up()


ONCE = {"Idempotency-Key": "3f2c1a52-7d0e-4b6e-9d55"}


def test_a_request_with_a_key_counts_once_whoever_takes_it(
    workers: list[Worker], kafka: str, prefix: str, beside: Beside
) -> None:
    body = {"item": "ring", "reservation": "r"}
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda number: workers[number % 3].post("/reservations", body, ONCE), range(12)))
    assert {status for status, _ in answers} == {201}, answers
    assert len({msgspec.json.encode({**body, "worker": ""}, order="sorted") for _, body in answers}) == 1
    assert workers[0].post("/reservations", {**body, "amount": 2}, ONCE)[0] == 422
    assert workers[1].post("/reservations/ring/release", {})[0] == 200
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.until_caught_up()
    status, again = workers[2].post("/reservations", body, ONCE)
    assert (status, again["row"]["reserved"]) == (201, 1), "the first answer, also when the row is gone"
    assert workers[0].row(f"{prefix}.stock", "ring")[0] == 404
    assert len(beside.call(read(kafka, f"{prefix}.reserved"))) == 1
    assert workers[0].post("/reservations", body, {"Idempotency-Key": "1"})[0] == 400
