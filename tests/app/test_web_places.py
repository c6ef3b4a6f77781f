"""Places for connections that are kept free for health and metrics: who gets one, and for how long."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from app.web import connections, places, start_web
from app.web.places import KEPT_HEAD_BYTES, decided
from tests.app.test_observing import Seen, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = LIVE[:-2]
ORDINARY = 2
KEPT = 3

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.mark.parametrize("head", [LIVE, LIVE + LIVE, b"HEAD /metrics?x=1 HTTP/1.1\r\n\r\n"])
def test_a_whole_head_that_asks_for_health_or_metrics_has_a_kept_place(head: bytes) -> None:
    assert decided(head) is True


@pytest.mark.parametrize("head", [b"", LIVE[:3], HALF, b"GET /tables HTTP/1.1\r\nHost: localhost\r\n"])
def test_nothing_is_decided_about_a_head_that_is_not_whole(head: bytes) -> None:
    assert decided(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET /tables HTTP/1.1\r\n\r\n",
        b"POST /health HTTP/1.1\r\n\r\n",
        b"GET /healthy HTTP/1.1\r\n\r\n",
        b"GET /tables HTTP/1.1\r\nX: GET /health \r\n\r\n",
        HALF + b"X: " + b"x" * KEPT_HEAD_BYTES,
    ],
)
def test_a_head_that_asks_for_something_else_or_never_ends_has_none(head: bytes) -> None:
    assert decided(head) is False


@asynccontextmanager
async def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Seen, list[Streams]]]:
    """A worker whose ordinary places are all taken."""
    monkeypatch.setattr(start_web, "__defaults__", (ORDINARY,))
    monkeypatch.setattr(places, "KEPT_FREE", KEPT)
    async with seen(tmp_path) as each, asyncio.timeout(20):
        taken = [await each.connect() for _ in range(ORDINARY)]
        for reader, writer in taken:
            writer.write(LIVE)
            assert (await reader.read(1000)).startswith(b"HTTP/1.1 200")
        yield each, taken
        for _, writer in taken:
            writer.close()


async def send(each: Seen, *packets: bytes) -> bytes:
    """All that comes until the connection is closed, for packets that arrive one by one."""
    reader, writer = await each.connect()
    writer.transport.get_extra_info("socket").setsockopt(6, 1, 1)  # TCP_NODELAY
    for packet in packets:
        writer.write(packet)
        await asyncio.sleep(0.02)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("at", [1, 8, len(LIVE) - 3, len(LIVE) - 1])
async def test_a_request_for_health_may_come_in_two_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    async with full(tmp_path, monkeypatch) as (each, _):
        answer = await send(each, LIVE[:at], LIVE[at:])
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"\r\nconnection: close\r\n" in answer.lower(), "the place is free again after one answer"


async def test_a_request_for_something_else_gets_no_kept_place_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with full(tmp_path, monkeypatch) as (each, _):
        for at in (2, 12):
            asked = b"GET /tables HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert (await send(each, asked[:at], asked[at:])).startswith(b"HTTP/1.1 503")
        assert (await send(each, LIVE + asked)).count(b"HTTP/1.1 200") == 1


async def test_half_requests_lose_their_kept_places_to_whole_ones_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "FIRST_SECONDS", 60.0)
    async with full(tmp_path, monkeypatch) as (each, _):
        slow = [await each.connect() for _ in range(KEPT)]
        for _, writer in slow:
            writer.write(HALF)
        await asyncio.sleep(0.05)
        for _ in range(KEPT):
            assert (await send(each, LIVE)).startswith(b"HTTP/1.1 200")
        refused = await slow[0][0].read()
        assert refused.startswith(b"HTTP/1.1 503"), "the oldest one made room"
        slow[-1][1].write(b"\r\n")
        assert (await slow[-1][0].read()).startswith(b"HTTP/1.1 200"), "the youngest one did not have to"
        for _, writer in slow:
            writer.close()


async def test_a_half_request_on_a_kept_place_ends_after_a_short_time_however_it_drips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "FIRST_SECONDS", 0.5)
    async with full(tmp_path, monkeypatch) as (each, _):
        reader, writer = await each.connect()
        began = time.monotonic()

        async def drip() -> None:
            for number in range(len(HALF)):
                writer.write(HALF[number : number + 1])
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await reader.read() == b""
        assert time.monotonic() - began < 5
        dripping.cancel()
        writer.close()


async def test_a_client_that_does_not_send_what_it_announced_loses_its_kept_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ANSWER_SECONDS", 0.5)
    async with full(tmp_path, monkeypatch) as (each, _):
        reader, writer = await each.connect()
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        began = time.monotonic()
        answer = b""
        try:
            while part := await reader.read(1000):
                answer += part
        except ConnectionError:
            pass
        assert answer.startswith(b"HTTP/1.1 413")
        assert time.monotonic() - began < 5
        writer.close()


async def test_an_ordinary_place_keeps_its_connection_for_more_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 30.0)
    async with full(tmp_path, monkeypatch) as (_, taken):
        reader, writer = taken[0]
        writer.write(LIVE)
        assert (await reader.read(1000)).startswith(b"HTTP/1.1 200")
