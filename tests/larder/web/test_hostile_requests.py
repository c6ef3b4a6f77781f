"""Hostile requests, and bytes that are not HTTP, are refused in time with an answer that reveals no internals."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from larder.local_tables.table import LocalTable
from larder.web import connections, limits, make_app, start_web, stop_web
from tests.larder.store.samples import customers, row
from tests.support.serving import Served, serving, sources

TABLE = customers.name


async def send(served: Served, text: bytes, seconds: float = 5) -> bytes:
    """Send exactly these bytes, and return what comes back until one whole answer or the timeout."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(text)
    answer = b""
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(65_536):
                answer += part
                if b"\r\n\r\n" in answer and _is_whole(answer):
                    break
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return answer


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return length is not None and len(body) >= int(length.split(b":")[1])


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer
    found: dict[str, object] = json.loads(body)
    assert found["status"] != 503 or b"\r\nretry-after: 1\r\n" in head.lower() + b"\r\n"
    assert {"type", "title", "status", "detail"} <= found.keys()
    assert found["status"] == int(head.split(b" ")[1])
    for leak in ("Traceback", "site-packages", "/root", "/tmp", "File "):  # noqa: S108
        assert leak not in body.decode()
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/tables/../../etc/passwd",
        "/tables/%2e%2e/%2e%2e/etc/passwd",
        "/tables/..%2f..%2fetc/rows",
        "/tables//rows/x",
        "/tables/shop.customers/rows/a/b",
        "//etc/passwd",
        "/static/../../larder/web.py",
        "/static/%2e%2e/%2e%2e/larder/process/worker.py",
        "/tables/%00/rows/x",
        "/tables/" + "a" * 9_000,
        "/openapi.json/..",
        "/%",
        "/tables/shop.customers/rows/%ff",
    ],
)  # fmt: skip
async def test_a_hostile_path_is_refused(held: LocalTable, path: str) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        answer = await send(served, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert 400 <= int(str(problem(answer)["status"])) < 500
        assert b"root:" not in answer


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nBig: " + b"x" * 20_000 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x" * 20_000 + b": big\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"H%d: x\r\n" % each for each in range(500)) + b"\r\n"),
        (414, b"GET /?" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
        (400, b"HELO example.com\r\n\r\n"),
    ],
    ids=["header", "name", "headers", "line", "tls", "length", "smuggled", "smtp"],
)
async def test_an_invalid_or_oversized_request_is_refused_and_its_connection_closed(
    held: LocalTable, status: int, request_: bytes
) -> None:
    async with serving(held) as served:
        answer = await send(served, request_)
        assert problem(answer)["status"] == status
        assert b"\r\nconnection: close\r\n" in answer.lower() or answer.startswith(b"HTTP/1.0 ")
        assert (await served.get("/openapi.json"))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT"])
async def test_nothing_can_be_written(held: LocalTable, method: str) -> None:
    async with serving(held) as served:
        answer = await send(served, f"{method} /services HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert problem(answer)["status"] == (404 if method == "CONNECT" else 405)
        assert (b"\r\nAllow: GET, HEAD\r\n" in answer) == (method != "CONNECT")


async def test_a_request_with_a_body_is_refused(held: LocalTable) -> None:
    async with serving(held) as served:
        answer = await send(served, b"GET /services HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nxxx")
        assert problem(answer)["status"] == 413


SCRIPT = "<script>alert(1)</script>\"'&\u2028"


async def test_scripts_in_keys_and_values_come_back_as_data_and_never_as_html(held: LocalTable) -> None:
    async with serving(held) as served:
        served.table.apply(0, [row(0, SCRIPT, 1, name=SCRIPT, country=SCRIPT)])
        served.catch_up(0, 1)
        status, answer = await served.row(SCRIPT)
        assert (status, answer["key"], answer["row"]["name"]) == (200, SCRIPT, SCRIPT)
        from larder.queries.paths import row_path  # noqa: PLC0415

        for path in (
            row_path(TABLE, SCRIPT),
            row_path(TABLE, SCRIPT + "x"),
            row_path(SCRIPT, "x"),
            "/tables?x=<script>",
        ):
            for accepts in ("*/*", "application/json"):
                raw = await send(served, f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accepts}\r\n\r\n".encode())
                assert b"content-type: text/html" not in raw.lower()


async def test_unbounded_ranges_are_limited(held: LocalTable) -> None:
    async with serving(held) as served:
        served.table.apply(0, [row(number, f"k{number:05}", 1, country="AT") for number in range(3_000)])
        served.catch_up(0, 1)
        for query in ("", "?from=", "?prefix=k", "?from=%00", "?to=%C3%BF", "?index=country&value=AT"):
            status, answer = await served.get(f"/tables/{TABLE}/rows{query}")
            assert (status, len(answer["rows"])) == (200, 100)
            assert answer["next"]
        status, answer = await served.get(f"/tables/{TABLE}/rows?limit=1000")
        assert len(answer["rows"]) == 1_000
        status, answer = await served.get(f"/tables/{TABLE}/rows?" + "&".join("key=k" for _ in range(1_001)))
        assert (status, answer["found"]) == (400, "1001")


async def test_a_client_that_does_not_read_its_answer_is_dropped(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.5)
    async with serving(held) as served:
        served.table.apply(0, [row(number, f"k{number}", 1, name="x" * 900_000) for number in range(5)])
        served.catch_up(0, 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        request = f"GET /tables/{TABLE}/rows HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        writer.write(request * 20)
        await asyncio.sleep(2.0)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(10):
                await reader.readexactly(20 * 3_600_000)
        writer.close()


async def test_a_client_that_never_ends_its_request_is_dropped(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.5)
    async with serving(held) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        began = time.monotonic()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nSlow: ")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        assert time.monotonic() - began < 5
        writer.close()


async def test_one_connection_too_many_is_refused(held: LocalTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_web, "__defaults__", (3,))
    async with serving(held) as served:
        held_open = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
        await asyncio.sleep(0.1)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        assert problem(await send(served, asked))["type"] == "urn:larder:too-busy"
        for _, writer in held_open:
            writer.close()
        async with asyncio.timeout(5):
            while not (await send(served, asked)).startswith(b"HTTP/1.1 200"):  # noqa: ASYNC110 - on the other side
                await asyncio.sleep(0.05)


async def test_an_answer_that_takes_too_long_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        await asyncio.sleep(20)

    from larder.queries.directory import Directory  # noqa: PLC0415

    class Slow(Directory):
        async def peers(self, *, refresh: bool = False) -> tuple[()]:
            await never()
            return (refresh,)[:0]

    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.3)
    app = make_app(sources(directory=Slow(never)))
    served = Served(None)
    served.port = await start_web(app, "127.0.0.1", 0)
    status, answer = await served.get("/services")
    assert (status, answer["type"]) == (503, "urn:larder:too-busy")
    await stop_web(app)


async def test_an_error_answer_does_not_reveal_its_exception(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        message = "secret /root/password"
        raise RuntimeError(message)

    from dataclasses import replace  # noqa: PLC0415

    app = make_app(replace(sources(), status=broken))
    served = Served(None)
    served.port = await start_web(app, "127.0.0.1", 0)
    answer = await send(served, b"GET /services HTTP/1.1\r\nHost: x\r\n\r\n")
    assert problem(answer)["type"] == "urn:larder:defect"
    assert b"secret" not in answer
    assert "secret" in caplog.text
    await stop_web(app)
