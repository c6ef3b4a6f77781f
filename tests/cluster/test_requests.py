"""Clients change rows over HTTP: any worker takes a request, and answers once the decision is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tests.cluster.reservations import Reservations, reserving
from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.topics import read
from tests.support.workers import Worker


@pytest.fixture(scope="module")
def reservations(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reservations]:
    with reserving(kafka, tmp_path_factory.mktemp("reservations"), unique("reservations")) as found:
        yield found


@pytest.fixture
def workers(reservations: Reservations) -> list[Worker]:
    return reservations.workers


@pytest.fixture
def item(request: pytest.FixtureRequest) -> str:
    """An item that no other test reserves."""
    return unique(request.node.name)


def test_ten_of_a_hundred_concurrent_requests_get_what_there_is(
    reservations: Reservations, item: str, kafka: str, beside: Beside
) -> None:
    workers = reservations.workers

    def order(number: int) -> tuple[int, dict[str, object]]:
        return workers[number % 3].post("/reservations", {"item": item, "reservation": f"r{number}"})

    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(order, range(100)))
    assert Counter(status for status, _ in answers) == {201: 1, 200: 9, 409: 90}, answers
    assert sorted(body["revision"] for status, body in answers if status < 300) == list(range(1, 11))
    assert {body["reason"] for status, body in answers if status == 409} == {"10 there are, 10 are reserved"}
    assert {body["worker"] for status, body in answers if status < 300} <= {"one", "two", "three"}
    got = {f"r{number}" for number, (status, _) in enumerate(answers) if status < 300}
    events = [msgspec.json.decode(each.value) for each in beside.call(read(kafka, f"{reservations.name}.reserved"))]
    assert sorted(each["reservation"] for each in events if each["item"] == item) == sorted(got)
    refusals = [msgspec.json.decode(each.value) for each in beside.call(read(kafka, f"{reservations.name}.refusals"))]
    assert sum(each["key"] == item for each in refusals) == 90
    _, listed = workers[0].get(f"/refusals?key={item}&limit=3") or (0, {})
    assert [each["id"].startswith("POST /reservations ") for each in listed["refusals"]] == [True] * 3


def test_any_worker_takes_a_request_for_any_key(reservations: Reservations) -> None:
    for number, worker in enumerate(reservations.workers * 4):
        item = f"any{number}"
        status, body = worker.post("/reservations", {"item": item, "reservation": "r"})
        assert (status, body["row"]) == (201, {"item": item, "reserved": 1, "revision": body["revision"]})
        assert worker.row(f"{reservations.name}.stock", item)[0] in {200, 404}
        status, body = worker.post(f"/reservations/{item}/release", {})
        assert (status, body["row"], body["key"]) == (200, None, item)
        assert worker.post(f"/reservations/{item}/release", b"")[0] == 409


def test_the_trace_of_a_request_goes_along_whichever_worker_takes_it(
    reservations: Reservations, item: str, kafka: str, beside: Beside
) -> None:
    traces = [f"00-{number + 1:032x}-{1:016x}-01" for number in range(3)]
    for number, (worker, trace) in enumerate(zip(reservations.workers, traces, strict=True)):
        body = {"item": item, "reservation": f"r{number}"}
        assert worker.post("/reservations", body, {"traceparent": trace, "larder.revision": "9"})[0] in {200, 201}
    events = beside.call(read(kafka, f"{reservations.name}.reserved"))
    headers = [dict(each.headers) for each in events if each.key == item.encode()]
    assert [each["traceparent"].decode() for each in headers] == traces
    assert {name for each in headers for name in each} == {"traceparent", "larder.made"}


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
    reservations: Reservations, body: object, status: int, part: str
) -> None:
    worker = reservations.workers[0]
    found, problem = worker.post("/reservations", body)
    assert (found, part in problem["detail"]) == (status, True), problem
    assert worker.row(f"{reservations.name}.stock", "ring")[0] == 404


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
    assert workers[0].post("/reservations/ring/release", b"", headers)[0] == status


def test_a_worker_that_is_killed_leaves_no_decision_half_done(workers: list[Worker]) -> None:
    """Each client knows whether its request counts, or that it is unknown; what is known is right."""

    def order(number: int) -> tuple[int, dict[str, object]]:
        return workers[1 + number % 2].post("/reservations", {"item": f"killed{number % 40}", "reservation": "r"})

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
    reservations: Reservations, item: str, kafka: str, beside: Beside
) -> None:
    workers, body = reservations.workers, {"item": item, "reservation": "r"}
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda number: workers[number % 3].post("/reservations", body, ONCE), range(12)))
    assert {status for status, _ in answers} == {201}, answers
    assert len({(body["revision"], msgspec.json.encode(body["row"])) for _, body in answers}) == 1
    assert workers[0].post("/reservations", {**body, "amount": 2}, ONCE)[0] == 422
    assert workers[1].post(f"/reservations/{item}/release", {})[0] == 200
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.until_caught_up()
    status, again = workers[2].post("/reservations", body, ONCE)
    assert (status, again["row"]["reserved"]) == (201, 1), "the first answer, also when the row is gone"
    assert workers[0].row(f"{reservations.name}.stock", item)[0] == 404
    events = [msgspec.json.decode(each.value) for each in beside.call(read(kafka, f"{reservations.name}.reserved"))]
    assert sum(each["item"] == item for each in events) == 1
    assert workers[0].post("/reservations", body, {"Idempotency-Key": "1"})[0] == 400


def test_two_tenants_with_one_key_have_a_request_each(workers: list[Worker], item: str) -> None:
    """Neither body has an id: the key stands for it, in the scope of its tenant."""
    key = {"Idempotency-Key": f"a-key-of-two-tenants-{item}"[:255]}
    first, second = (
        worker.post("/kept", {"tenant": tenant}, key) for worker, tenant in zip(workers, "ab", strict=False)
    )
    assert (first[0], second[0]) == (201, 201)
    assert first[1]["key"] != second[1]["key"]
    for worker in workers:
        for tenant, (_, answer) in (("a", first), ("b", second)):
            other_layout = f'{{ "amount": 1,\n "tenant": "{tenant}" }}'.encode()
            status, again = worker.post("/kept", {"tenant": tenant}, key)
            assert (status, again["row"], again["key"]) == (201, answer["row"], answer["key"])
            assert worker.post("/kept", other_layout, key)[1]["row"] == answer["row"]
            assert worker.post("/kept", {"tenant": tenant, "amount": 2}, key)[0] == 422


def test_a_condition_must_hold_for_the_row(reservations: Reservations, item: str) -> None:
    body = {"item": item, "reservation": "r"}
    for worker in reservations.workers:
        assert worker.post("/reservations", body, {"If-Match": "*"})[0] == 412
    first = reservations.workers[0].post("/reservations", body, {"If-None-Match": "*"})[1]["revision"]
    for worker in reservations.workers:
        assert worker.post("/reservations", body, {"If-None-Match": "*"})[0] == 412
        status, problem = worker.post("/reservations", body, {"If-Match": f'"{first - 1}"'})
        assert (status, problem["found"]) == (412, f"one of revision {first}")
        assert worker.post("/reservations", body, {"If-Match": str(first)})[0] == 400
    assert reservations.workers[1].post("/reservations", body, {"If-Match": f'"{first}"'})[0] == 200
