"""The fast path of single rows gives the same answers as the normal path, which takes unusual requests. Real HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest

from larder.local_tables.table import LocalTable
from larder.observability.metrics.requests import Requests
from larder.web import connections
from larder.web.fast_path import ADDRESS, FastRequest, ShortWay, read
from tests.larder.store.samples import Sent, customers, row
from tests.support.serving import Served, serving, sources

TABLE = customers.name
USUAL = f"GET /tables/{TABLE}/rows/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
WHOLE_WAY = "X-Whole-Way: 1\r\n"


async def exchange(served: Served, *parts: str, answers: int = 1) -> list[tuple[str, dict[str, str], bytes]]:
    """Send parts of requests on one connection, one after the other; return status, headers and body of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for part in parts:
        writer.write(part.encode())
        await asyncio.sleep(0.05 if len(parts) > 1 else 0)
    found = []
    async with asyncio.timeout(5):
        for _ in range(answers):
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            found.append((status, headers, await reader.readexactly(int(headers["Content-Length"]))))
    try:
        async with asyncio.timeout(0.05):
            assert not await reader.read(1), "more than the expected answers came"
    except TimeoutError:
        pass
    writer.close()
    return found


ROWS = {
    "whole": b'{"customer_id":"whole","name":"Ada","country":null,"revision":1}',
    "left-out": b'{"customer_id":"left-out","revision":1}',
    "more": b'{ "more" : [1, {"a":2}], "customer_id":"more","name":"\\u00e4\xc3\xa4","country":"AT","revision":1 }',
    "other-order": b'{"revision":1,"country":"AT","name":"x","customer_id":"other-order"}',
}


async def test_both_paths_give_the_same_answer_for_missing_and_unknown_fields(held: LocalTable) -> None:
    held.stored.apply(0, [Sent(number, key.encode(), value) for number, (key, value) in enumerate(ROWS.items())])
    async with serving(held) as served:
        served.catch_up(0, 1)
        for key, published in ROWS.items():
            assert read((USUAL % (key, "")).encode()) is not None
            ((status, headers, body),) = await exchange(served, USUAL % (key, ""))
            ((whole_status, whole_headers, whole_body),) = await exchange(served, USUAL % (key, WHOLE_WAY))
            assert status == whole_status == "HTTP/1.1 200 OK"
            assert json.loads(body) == json.loads(whole_body)
            assert json.loads(body)["row"] == {"name": "", "country": None, **json.loads(published)}
            assert {*headers.items()} - {("Date", headers["Date"]), ("Content-Length", headers["Content-Length"])} == (
                {*whole_headers.items()}
                - {("Date", whole_headers["Date"]), ("Content-Length", whole_headers["Content-Length"])}
            )


async def test_absent_and_invalid_keys_take_the_normal_path(held: LocalTable) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        for path, status in (("nobody", 404), ("..", 404), ("%66", 404)):
            ((line, headers, body),) = await exchange(served, USUAL % (path, ""))
            assert line.startswith(f"HTTP/1.1 {status} ")
            assert headers["Content-Type"] == "application/problem+json"
            assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "request_",
    [
        USUAL % ("ada", "Accept: text/html\r\n"),
        USUAL % ("ada", "Content-Length: 1\r\n"),
        USUAL % ("ada", "Transfer-Encoding: chunked\r\n"),
        USUAL % ("ada", "Connection: close\r\n"),
        USUAL % ("ada", "Expect: 100-continue\r\n"),
        USUAL % ("ada", "Host: another\r\n"),
        USUAL % ("ada", "Accept: a\n\r\n"),
        USUAL % ("ada", "Accept : a\r\n"),
        USUAL % ("ada", "Accept: a\r\n b\r\n"),
        USUAL % ("ada", "User-Agent: " + "x" * 5000 + "\r\n"),
        USUAL % ("ada?local=1", ""),
        USUAL % ("a%64a", ""),
        USUAL % ("a/b", ""),
        USUAL % ("..", ""),
        USUAL % ("", ""),
        (USUAL % ("ada", "")).replace("HTTP/1.1", "HTTP/1.0"),
        (USUAL % ("ada", "")).replace("GET", "HEAD"),
        (USUAL % ("ada", "")).replace("Host: 127.0.0.1\r\n", ""),
        (USUAL % ("ada", ""))[:-2],
        (USUAL % ("ada", "")) * 2,
    ],
)
def test_unusual_requests_take_the_normal_path(request_: str) -> None:
    assert read(request_.encode()) is None


@pytest.mark.parametrize("headers", ["", "Accept: */*\r\nUser-Agent: curl/8\r\n", "connection: Keep-Alive\r\n"])
def test_typical_requests_of_programs_take_the_fast_path(headers: str) -> None:
    asked = read((USUAL % ("ada", headers)).encode())
    assert asked is not None
    assert (asked.table, asked.key, asked.host, asked.hop) == (TABLE, "ada", "127.0.0.1", False)
    hop = read((USUAL % ("ada", f"{headers}Larder-Hop: 1\r\n")).encode())
    assert hop is not None
    assert hop.hop


async def test_answers_come_once_and_in_order_for_any_split_of_requests(held: LocalTable) -> None:
    held.stored.apply(0, [row(number, key, 1) for number, key in enumerate(("ada", "bea"))])
    ada, bea = (USUAL % (key, "") for key in ("ada", "bea"))

    def keys(answers: list[tuple[str, dict[str, str], bytes]]) -> list[str]:
        return [json.loads(body).get("key", "none") for _, _, body in answers]

    async with serving(held) as served:
        served.catch_up(0, 1)
        assert keys(await exchange(served, ada, bea, ada, answers=3)) == ["ada", "bea", "ada"]
        assert keys(await exchange(served, ada + bea + ada, answers=3)) == ["ada", "bea", "ada"]
        assert keys(await exchange(served, ada + bea[:30], bea[30:] + ada, answers=3)) == ["ada", "bea", "ada"]
        assert keys(await exchange(served, USUAL % ("nobody", "") + ada, bea, answers=3)) == ["none", "ada", "bea"]
        # The second request is part of a header value of the first one.
        cut = (USUAL % ("ada", "X-Note: "))[:-2]
        ((line, _, _),) = await exchange(served, cut, bea)
        assert " 400 " in line


async def test_a_client_that_falls_silent_is_dropped(held: LocalTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)
    held.stored.apply(0, [row(0, "ada", 1)])
    async with serving(held) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with asyncio.timeout(5):
            for _ in range(4):
                writer.write((USUAL % ("ada", "")).encode())
                assert await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(0.2)
            while await reader.read(1000):
                pass
        writer.close()


def test_the_fast_path_counts_requests_like_the_normal_path(held: LocalTable) -> None:
    held.stored.apply(0, [row(0, "ada", 1)])
    requests = Requests()
    way = ShortWay(sources({TABLE: held}), requests)
    assert way.answer(FastRequest(TABLE, "ada", "x", hop=False))
    assert not way.answer(FastRequest(TABLE, "nobody", "x", hop=False))
    assert not way.answer(FastRequest("none", "ada", "x", hop=False))
    assert requests.answers == {(ADDRESS, 200): 1}
    assert sum(requests.seconds[ADDRESS].counts) == 1
