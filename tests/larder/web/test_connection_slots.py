"""Connections reserved for health and metrics: which requests get one, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, NamedTuple

import pytest

from larder.web import connection_slots, connections, start_web
from larder.web.connection_slots import KEPT_HEAD_BYTES, decided
from tests.larder.observability.test_observer import Seen, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = LIVE[:-2]
OTHER = b"GET /tables HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK, BUSY = b"HTTP/1.1 200 OK", b"HTTP/1.1 503"
ORDINARY = 2
KEPT = 3

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.mark.parametrize("head", [LIVE, LIVE + LIVE, b"HEAD /metrics?x=1 HTTP/1.1\r\n\r\n"])
def test_a_complete_head_for_health_or_metrics_gets_a_reserved_connection(head: bytes) -> None:
    assert decided(head) is True


@pytest.mark.parametrize("head", [b"", LIVE[:3], HALF, b"GET /tables HTTP/1.1\r\nHost: localhost\r\n"])
def test_an_incomplete_head_is_undecided(head: bytes) -> None:
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
def test_a_head_for_another_path_or_without_end_gets_no_reserved_connection(head: bytes) -> None:
    assert decided(head) is False


class Full(NamedTuple):
    """A worker whose ordinary connections are all taken."""

    seen: Seen
    taken: list[Streams]

    async def connect(self, first: bytes) -> Streams:
        """Open a connection, and begin a request on it."""
        reader, writer = await self.seen.connect()
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(first)
        return reader, writer

    async def send(self, *packets: bytes) -> bytes:
        """Send packets one by one, and return all that comes until the connection is closed."""
        reader, writer = await self.connect(packets[0])
        for packet in packets[1:]:
            await asyncio.sleep(0.02)
            writer.write(packet)
        return await whole(reader, writer)


async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return all that comes until the connection is closed."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(1000), 5):
            answer += part
    writer.close()
    return answer


@pytest.fixture
async def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Full]:
    monkeypatch.setattr(start_web, "__defaults__", (ORDINARY,))
    monkeypatch.setattr(connection_slots, "KEPT_FREE", KEPT)
    async with seen(tmp_path) as each:
        taken = [await each.connect() for _ in range(ORDINARY)]
        for reader, writer in taken:
            writer.write(LIVE)
            assert (await reader.read(1000)).startswith(OK)
        yield Full(each, taken)
        for _, writer in taken:
            writer.close()


@pytest.mark.parametrize("at", [1, 8, len(LIVE) - 3, len(LIVE) - 1])
async def test_a_request_for_health_may_come_in_two_packets(full: Full, at: int) -> None:
    answer = await full.send(LIVE[:at], LIVE[at:])
    assert answer.startswith(OK)
    assert b"\r\nconnection: close\r\n" in answer.lower(), "the connection is free again after one answer"


async def test_any_other_request_gets_no_reserved_connection(full: Full) -> None:
    for at in (2, 12):
        assert (await full.send(OTHER[:at], OTHER[at:])).startswith(BUSY)
    assert (await full.send(LIVE + OTHER)).count(OK) == 1


async def test_an_incomplete_request_loses_its_reserved_connection_to_a_complete_one(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_slots, "FIRST_SECONDS", 60.0)
    slow = [await full.connect(HALF) for _ in range(KEPT)]
    await asyncio.sleep(0.05)
    for _ in range(KEPT):
        assert (await full.send(LIVE)).startswith(OK)
    assert (await whole(*slow[0])).startswith(BUSY), "the oldest one was replaced"
    slow[-1][1].write(b"\r\n")
    assert (await whole(*slow[-1])).startswith(OK), "the youngest one was not replaced"
    for _, writer in slow:
        writer.close()


async def test_a_slow_request_on_a_reserved_connection_times_out(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_slots, "FIRST_SECONDS", 0.5)
    reader, writer = await full.connect(b"")

    async def drip() -> None:
        for number in range(len(HALF)):
            writer.write(HALF[number : number + 1])
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert await whole(reader, writer) == b""
    dripping.cancel()


async def test_a_client_that_does_not_send_its_announced_body_loses_its_reserved_connection(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_slots, "ANSWER_SECONDS", 0.5)
    announced = LIVE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
    assert (await full.send(announced)).startswith(b"HTTP/1.1 413")


async def test_an_ordinary_connection_stays_open_for_more_requests(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 30.0)
    reader, writer = full.taken[0]
    writer.write(LIVE)
    assert (await reader.read(1000)).startswith(OK)
