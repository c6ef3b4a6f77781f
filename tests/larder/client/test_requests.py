"""`larder request`: what is sent, how often, and what becomes of the answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from larder.cli.commands import request as command
from larder.cli.main import larder
from larder.client import requests
from larder.client.local_workers import LocalWorker
from larder.client.requests import Sending
from tests.support.web import Answer, Request, problem, web

SERVICES = {
    "service": "shop",
    "worker": "one",
    "operators": [
        {"kind": "request", "name": "POST /orders"},
        {"kind": "request", "name": "POST /orders/{order_id}/cancel"},
        {"kind": "copying", "name": "copies"},
    ],
}
ROW = {"order_id": "o1", "item": "ring"}
TAKEN = Answer(201, {"table": "orders", "key": "o1", "row": ROW, "revision": 3, "partition": 2, "worker": "one"})
UNKNOWN = problem("unknown", 503, found="the decision may have been committed")
REFUSED = problem("refused", 409, reason="no more rings")
KEY = "3f2c1a52-7d0e-4b6e-9d55"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "RETRY_SECONDS", 0.01)


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(larder, ["request", *arguments], input=stdin)


def answering(*answers: Answer, services: dict[str, Any] = SERVICES) -> Callable[[Request], Answer]:
    """Answer to each POST in turn, and with the last one from then on."""
    left: Iterator[Answer] = iter(answers)

    def answer(request: Request) -> Answer:
        return Answer(200, services) if request.method == "GET" else next(left, answers[-1])

    return answer


def posted(asked: list[Request]) -> list[Request]:
    return [each for each in asked if each.method == "POST"]


def test_the_row_is_printed_and_the_rest_of_the_answer_told() -> None:
    with web(answering(TAKEN)) as worker:
        ended = run("POST /orders", '{"item": "ring"}', "--at", worker.address)
    (sent,) = posted(worker.asked)
    once = sent.headers["Idempotency-Key"]
    assert (ended.exit_code, json.loads(ended.stdout), len(once)) == (0, ROW, 36)
    assert ended.stderr == f"orders, key o1, partition 2, revision 3; decided by one; Idempotency-Key {once}\n"
    assert (sent.path, sent.body) == ("/orders", b'{"item": "ring"}')
    assert sent.headers["Content-Type"] == "application/json"


def test_each_command_has_a_key_of_its_own_unless_one_is_given() -> None:
    with web(answering(TAKEN)) as worker:
        for once in ((), (), ("--once", KEY)):
            assert run("POST /orders", "{}", *once, "--at", worker.address, "--json").exit_code == 0
    first, second, given = (each.headers["Idempotency-Key"] for each in posted(worker.asked))
    assert (first != second, given) == (True, KEY)


def test_fields_may_all_be_in_the_path_or_come_from_standard_input() -> None:
    with web(answering(TAKEN)) as worker:
        assert run("POST /orders/ø 1/cancel", "--at", worker.address).exit_code == 2
        assert run("POST /orders/ø%201/cancel", "--at", worker.address).exit_code == 0
        assert run("POST /orders", "-", "--at", worker.address, stdin='{"item": "ring"}').exit_code == 0
    assert [(each.path, each.body) for each in posted(worker.asked)] == [
        ("/orders/%C3%B8%201/cancel", b""),
        ("/orders", b'{"item": "ring"}'),
    ]


def test_a_request_is_sent_again_with_the_same_key_until_it_is_known_what_became_of_it() -> None:
    moving = problem("not-here", 503, found="partition 2 moves")
    with web(answering(UNKNOWN, UNKNOWN, moving, Answer(200, "no JSON"), TAKEN)) as worker:
        ended = run("POST /orders", "{}", "--once", KEY, "--at", worker.address, "--json")
        name = worker.address
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, TAKEN.body)
    assert [each.headers["Idempotency-Key"] for each in posted(worker.asked)] == [KEY] * 5
    (trace,) = {each.headers["traceparent"] for each in posted(worker.asked)}
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
    again = f"trying again with the same Idempotency-Key, {KEY}"
    assert ended.stderr.splitlines() == [
        f"larder: {name}: the decision may have been committed; {again}",
        f"larder: {name}: partition 2 moves; {again}",
        f"larder: {name}: no answer; {again}",
    ]


@pytest.mark.parametrize("answer", [REFUSED, problem("invalid", 422), problem("undecidable", 500)])
def test_a_refusal_or_a_mistake_ends_with_1_at_once(answer: Answer) -> None:
    told = Answer(answer.status, {**answer.body, "detail": "the reason\nwhy"})
    with web(answering(told)) as worker:
        ended = run("POST /orders", "{}", "--at", worker.address)
        as_json = run("POST /orders", "{}", "--at", worker.address, "--json")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", "larder: the reason\\nwhy\n")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, told.body)
    assert len(posted(worker.asked)) == 2


def test_without_an_answer_in_time_the_command_says_how_to_go_on() -> None:
    with web(answering(UNKNOWN)) as worker:
        ended = run("POST /orders", "{}", "--within", "0.1", "--once", KEY, "--at", worker.address)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.splitlines()[-1] == (
        "larder: request POST /orders: requires an answer within 0.1 s; "
        f"found {worker.address}: the decision may have been committed; repeat it with --once {KEY}: it counts once"
    )


def test_a_worker_that_never_answers_has_not_been_sent_anything() -> None:
    ended = run("POST /orders", "{}", "--within", "0.1", "--at", "http://127.0.0.1:1")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.endswith("found no worker that answers; try again, or start a worker\n")


@pytest.mark.parametrize(
    ("address", "once", "says"),
    [
        ("GET /orders", KEY, "requires POST and a path with values for braces"),
        ("POST orders", KEY, "requires POST and a path with values for braces"),
        ("POST /orders/{order_id}/cancel", KEY, "requires POST and a path with values for braces"),
        ("POST /orders", "line\nbreak", "--once: requires printable ASCII"),
        ("POST /ordrs", KEY, "did you mean POST /orders?"),
        ("POST /orders/o1/2/cancel", KEY, "requires a declared request"),
    ],
)
def test_what_no_worker_takes_is_a_mistake_and_is_not_sent(address: str, once: str, says: str) -> None:
    with web(answering(TAKEN)) as worker:
        ended = run(address, "{}", "--once", once, "--at", worker.address)
    assert (ended.exit_code, says in ended.stderr, posted(worker.asked)) == (2, True, [])


def test_another_worker_is_asked_while_one_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with web(answering(UNKNOWN)) as one, web(answering(TAKEN)) as two:
        workers = [LocalWorker("shop", name, 1, each.address) for name, each in (("one", one), ("two", two))]
        monkeypatch.setattr(command, "workers_at", lambda _: workers)
        assert run("POST /orders", "{}").exit_code == 0
    assert (len(posted(one.asked)), len(posted(two.asked))) == (1, 1)


def test_an_address_that_two_services_take_needs_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    other = answering(TAKEN, services={**SERVICES, "service": "billing"})
    with web(answering(TAKEN)) as one, web(other) as two:
        workers = [LocalWorker(name, "w", 1, each.address) for name, each in (("shop", one), ("billing", two))]
        monkeypatch.setattr(command, "workers_at", lambda _: workers)
        ended = run("POST /orders", "{}")
    assert (ended.exit_code, posted([*one.asked, *two.asked])) == (2, [])
    assert "requires one service that takes it; found several: billing, shop" in ended.stderr


def test_a_path_fits_where_each_brace_stands_for_one_value() -> None:
    declared = "POST /v1.0/{order_id}/lines/{line}"
    assert Sending("POST /v1.0/o1/lines/7?wait=1", b"", KEY, TRACE).fits(declared)
    for other in ("POST /v1x0/o1/lines/7", "POST /v1.0/o1/lines/", "POST /v1.0/o1/lines/7/8"):
        assert not Sending(other, b"", KEY, TRACE).fits(declared)
