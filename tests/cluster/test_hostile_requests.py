"""What clients send to the requests of a service, whatever it is, is taken or refused, and nothing else breaks."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from larder.queries.paths import row_path
from tests.conftest import unique
from tests.support.beside import loop_beside
from tests.support.topics import COMPACTED, create
from tests.support.workers import Worker, running

MODULE = """
from typing import Any

from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service


class Write(Row):
    name: str
    text: str = ""
    anything: Any = None
    times: int = 1


class Note(Row):
    name: str
    text: str
    anything: Any = None
    revision: int = 0


class Written(Row):
    name: str


notes_topic = OwnerTopic("{prefix}.notes", Note, key="name", revision="revision", partitions=4)
written = EventTopic("{prefix}.written", Written, key="name")
service = Service("{prefix}")
notes = service.table(notes_topic)


@service.request("POST /notes", state=notes, into=written)
def write(request: Write, row: Note | None) -> Decision:
    if request.text == "refuse":
        return Decision(refuse=request.text)
    note = Note(name=request.name, text=request.text * request.times, anything=request.anything)
    return Decision(note, emit=Written(name=request.name))


@service.request("POST /notes/{name}/rewrite", state=notes, into=written)
def rewrite(request: Write, row: Note | None) -> Decision:
    return write(request, row)
"""


@pytest.fixture(scope="module")
def workers(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    name, directory = unique("hostile"), tmp_path_factory.mktemp("hostile")
    small = {**COMPACTED, "max.message.bytes": "100000"}
    with loop_beside() as beside:
        beside.call(create(kafka, {f"{name}.{name}.notes.requests": 4}, small))
    module = MODULE.replace("{prefix}", name)
    found = [Worker(kafka, directory, module, name, worker) for worker in ("one", "two")]
    with running(*found):
        for worker in found:
            worker.until_caught_up()
        yield found
        for worker in found:
            assert worker.stop() == 0, worker.text[-4000:]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    json: Any


def answer(worker: Worker, request: bytes) -> Answer:
    """Send bytes, and read what comes until the worker closes the connection."""
    with socket.create_connection(("127.0.0.1", worker.web_port()), 20) as connection:
        with suppress(ConnectionError):  # it may be refused before it is sent
            connection.sendall(request)
        got = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = got.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(
        int(status.split()[1]), headers, json.loads(body) if "json" in headers["Content-Type"] and body else None
    )


def asked(
    body: bytes = b'{"name": "any"}', line: bytes = b"POST /notes", type_: bytes = b"application/json", **headers: bytes
) -> bytes:
    """Return a request in bytes; the names of headers have _ in place of -."""
    more = b"".join(b"%b: %b\r\n" % (name.replace("_", "-").encode(), value) for name, value in headers.items())
    head = b"%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %b\r\n" % (line, type_)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, more, len(body), body)


def named(name: bytes, **others: bytes) -> bytes:
    return b"{%b}" % b",".join(
        b'"%b":%b' % (each.encode(), value) for each, value in {"name": b'"%b"' % name, **others}.items()
    )


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


ONCE = b"a-key-of-a-hostile-client"
ROW = b"/rows/"

TAKEN = {
    "a megabyte": asked(named(b"large", text=b'"%b"' % (b"x" * 1_048_000))),
    "nested": asked(named(b"nested", anything=nested(400))),
    "a large number": asked(named(b"number", anything=b"9" * 400)),
    "a field twice": asked(b'{"name":"first","name":"last"}'),
    "a line break in the key": asked(named(rb"a\r\nSet-Cookie: b=1")),
    "a zero in the key": asked(named(rb"a\u0000b")),
    "dots in the key": asked(named(b"../../a?b#c")),
    "no characters in the key": asked(named(b"")),
    "a long key": asked(named(b"k" * 2_000)),
    "an encoded slash": asked(b"", b"POST /notes/a%2Fb/rewrite"),
    "an encoded zero": asked(b"", b"POST /notes/%00/rewrite"),
    "dots": asked(b"", b"POST /notes/../rewrite"),
    "encoded dots": asked(b"", b"POST /notes/%2e%2e/rewrite"),
    "a percent sign": asked(b"", b"POST /notes/100%/rewrite"),
    "an encoded word": asked(named(b"word"), b"POST /%6eotes"),
    "another host in the address": asked(named(b"absolute"), b"POST http://elsewhere.example/notes"),
    "another method in a header": asked(named(b"method"), X_HTTP_Method_Override=b"DELETE"),
    "compressed": asked(gzip.compress(named(b"compressed")), Content_Encoding=b"gzip"),
    "an upgrade": asked(named(b"upgrade"), Upgrade=b"websocket"),
    "in chunks": asked(b"").replace(b"Content-Length: 0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n")
    + b'5\r\n{"nam\r\n9\r\ne":"any"}\r\n0\r\n\r\n',
}
REFUSED = {
    "two megabytes": (413, asked(named(b"large", text=b'"%b"' % (b"x" * 2_000_000)))),
    "fifty megabytes, compressed": (413, asked(gzip.compress(b" " * 50_000_000), Content_Encoding=b"gzip")),
    "a row of two megabytes": (500, asked(named(b"large", text=b'"ab"', times=b"1000000"))),
    "deep": (422, asked(named(b"deep", anything=nested(990)))),
    "very deep": (422, asked(named(b"deep", anything=nested(100_000)))),
    "no number": (422, asked(named(b"any", anything=b"NaN"))),
    "an infinite number": (422, asked(named(b"any", anything=b"1e999"))),
    "too large a number": (422, asked(named(b"any", anything=b"9" * 5_000))),
    "half a character": (422, asked(named(rb"\ud800"))),
    "no UTF-8": (422, asked(named(b"\xff"))),
    "UTF-16": (422, asked(named(b"any").decode().encode("utf-16"))),
    "spaces": (400, asked(b"  ")),
    "a longer key": (422, asked(named(b"k" * 2_001))),
    "a much longer key": (422, asked(named(b"k" * 100_000))),
    "a path that is no UTF-8": (400, asked(b"", b"POST /notes/%ff/rewrite")),
    "an empty part of the path": (404, asked(b"", b"POST /notes//rewrite")),
    "a mistyped path": (404, asked(line=b"POST /note")),
    "a path that goes on": (404, asked(line=b"POST /notes/")),
    "PUT": (405, asked(line=b"PUT /notes")),
    "DELETE": (405, asked(line=b"DELETE /notes")),
    "GET": (405, asked(b"", b"GET /notes")),
    "HEAD": (405, asked(b"", b"HEAD /notes")),
    "a field in the query": (400, asked(line=b"POST /notes?name=any")),
    "a negative wait": (400, asked(line=b"POST /notes?wait=-1")),
    "a key to count once that is no text": (400, asked(Idempotency_Key=ONCE + b"\xff")),
    "a long key to count once": (400, asked(Idempotency_Key=b"k" * 4_096)),
    "a condition that is no text": (400, asked(If_Match=b"\xff")),
    "a condition with two revisions": (400, asked(If_Match=b'"1", "2"')),
    "a type that is no text": (415, asked(type_=b"\xff")),
    "another type": (415, asked(type_=b"text/plain")),
    "two types": (400, asked(Content_Type=b"text/plain")),
    "no compressed body": (400, asked(Content_Encoding=b"deflate")),
    "an odd origin": (403, asked(Origin=b"http://[")),
    "no origin": (403, asked(Origin=b"null")),
    "a name in the origin": (403, asked(Origin=b"http://localhost@elsewhere.example")),
    "an expectation": (417, asked(Expect=b"nothing")),
}


@pytest.mark.parametrize("request_", TAKEN.values(), ids=TAKEN)
def test_what_is_odd_and_valid_has_the_same_answer_at_each_worker(workers: list[Worker], request_: bytes) -> None:
    first, again = (answer(worker, request_) for worker in workers)
    assert (first.status, again.status) in {(201, 200), (200, 200)}
    assert {**first.json["row"], "revision": None} == {**again.json["row"], "revision": None}
    assert again.json["revision"] == first.json["revision"] + 1
    for worker in workers:
        path = row_path(first.json["table"], first.json["key"])
        assert first.headers.get("Location") in {path, None}
        found = worker.get(f"{path}?after={again.json['token']}&within=5")
        assert found is not None
        assert found[1]["row"] == again.json["row"]


@pytest.mark.parametrize(("status", "request_"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_valid_is_refused_at_each_worker(workers: list[Worker], status: int, request_: bytes) -> None:
    for worker in workers:
        found = answer(worker, request_)
        assert found.status == status, found
        assert b"HEAD" in request_ or status == 417 or found.json["type"] != "urn:larder:defect"
        assert "ERROR" not in worker.text


def test_pipelined_requests_are_answered_in_order(workers: list[Worker]) -> None:
    more = b"".join(asked(named(b"in order")).replace(b"Connection: close\r\n", b"") for _ in range(20))
    alive = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", workers[1].web_port()), 20) as connection:
        connection.sendall(alive + more + alive + asked(named(b"in order")))
        got = b"".join(iter(lambda: connection.recv(65_536), b""))
    revisions = [int(each) for each in re.findall(rb'"revision":(\d+)\},', got)]
    assert revisions == list(range(revisions[0], revisions[0] + 21))
    assert [int(each) for each in re.findall(rb"HTTP/1.1 (\d+)", got)] == [200, 201, *[200] * 21]


def test_who_goes_away_in_the_middle_of_a_body_leaves_nothing(workers: list[Worker]) -> None:
    for worker in workers:
        with socket.create_connection(("127.0.0.1", worker.web_port()), 20) as connection:
            connection.sendall(asked(named(b"half"))[:-1])
        assert answer(worker, asked(named(b"whole"))).status < 300
        assert "ERROR" not in worker.text
        assert worker.row(f"{worker.service}.notes", "half")[0] == 404


def test_a_row_that_is_too_large_to_remember_counts_only_without_a_key(workers: list[Worker]) -> None:
    """The request is remembered with its row, in one record: it must not count, and be forgotten."""

    def write(times: int, **headers: bytes) -> Answer:
        return answer(workers[0], asked(named(b"full", text=b'"x"', times=b"%d" % times), **headers))

    assert write(200_000).status == 201
    refused = write(199_999, Idempotency_Key=ONCE)
    assert (refused.status, "notes.requests requires at most 100000 bytes" in refused.json["detail"]) == (500, True)
    assert write(10, Idempotency_Key=ONCE).status == 200, "a request that failed does not count"
    before = write(200_000).json
    for worker in workers:
        found = worker.get(f"{row_path(before['table'], 'full')}?after={before['token']}&within=5")
        assert found is not None
        assert found[1]["revision"] == before["revision"]


def test_rows_that_are_nested_deeply_can_be_listed(workers: list[Worker]) -> None:
    for worker in workers:
        token = answer(worker, asked(named(b"listed", anything=nested(400)))).json["token"]
        status, found = worker.get(f"/tables/{worker.service}.notes/rows?prefix=listed&after={token}&within=5") or (
            0,
            {},
        )
        assert (status, [each["key"] for each in found["rows"]]) == (200, ["listed"])
        assert "listed" in worker.page(f"/tables/{worker.service}.notes/rows?prefix=listed")
        assert "listed" in worker.page(row_path(f"{worker.service}.notes", "listed"))
