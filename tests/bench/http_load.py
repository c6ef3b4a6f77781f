"""Asks one address for rows over many connections, as fast as it answers or so many times a second; a program.

`python -m tests.bench.http_load JSON` (a `Load`) prints one line of JSON: the pulses, each with the answers that came
in it. It speaks as much HTTP as it needs over raw sockets, keeps connections alive, and never asks on one that still
waits, so that it costs less than any server: `busy` says how much of a core it took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque
from typing import NamedTuple, cast

import uvloop

OK = b"HTTP/1.1 200 "
LENGTH = b"\r\nContent-Length: "
END = b"\r\n\r\n"
TICK_SECONDS = 0.001
# Answers that are under way when a pulse is over are waited for; they count in it.
LAST_SECONDS = 5.0


class Load(NamedTuple):
    """What is asked for, and how.

    paths        asked for in turn, again and again.
    per_s        how many times a second, 0 for as often as there are answers.
    seconds      of each pulse; pause, between two of them.
    """

    host: str
    port: int
    paths: list[str]
    connections: int
    per_s: float
    pulses: int
    seconds: float
    pause: float = 0.0


class Pulse(NamedTuple):
    """What came between `began` and `ended`, of the monotonic clock; `took` in ms from when each was to be asked."""

    began: float
    ended: float
    answers: int
    wrong: int
    busy: float
    took: list[float]

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answers / (self.ended - self.began)


class Asking:
    """The requests in their order, when each was due, and what came of them."""

    def __init__(self, load: Load) -> None:
        """Write all requests once."""
        self.requests = [
            f"GET {path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n\r\n".encode() for path in load.paths
        ]
        self.paced = load.per_s > 0
        self.until = 0.0
        self.due: deque[float] = deque()
        self.free: list[Connection] = []
        self.took: list[float] = []
        self.wrong = 0
        self._next = 0

    def request(self) -> bytes:
        """Give the next one."""
        self._next = (self._next + 1) % len(self.requests)
        return self.requests[self._next]

    def go_on(self, connection: Connection, now: float) -> None:
        """Ask once more, if it is time to."""
        if self.paced:
            if self.due:
                connection.ask(self.due.popleft())
                return
        elif now < self.until:
            connection.ask(now)
            return
        self.free.append(connection)


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next one."""

    def __init__(self, asking: Asking) -> None:
        """Ask what `asking` has."""
        self._asking = asking
        self._due = 0.0
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first pulse."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._asking.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End with it: a server that closes connections is not what is measured."""
        if self._left or self._head or self not in self._asking.free:
            sys.exit(f"the server closed a connection: {exc!r}")

    def ask(self, due: float) -> None:
        """Send a request that was to be sent at `due`."""
        self._due = due
        self._transport.write(self._asking.request())

    def data_received(self, data: bytes) -> None:
        """Take an answer; one that is 200 and whole counts."""
        if self._left:
            self._left -= len(data)
        else:
            data = self._head + data
            body = data.find(END)
            if body < 0:
                self._head = data
                return
            self._head = b""
            at = data.index(LENGTH) + len(LENGTH)
            self._left = int(data[at : data.index(b"\r", at)]) - (len(data) - body - len(END))
            if not data.startswith(OK):
                self._asking.wrong += 1
        if not self._left:
            now = time.monotonic()
            self._asking.took.append(round((now - self._due) * 1000, 3))
            self._asking.go_on(self, now)


async def main(load: Load) -> list[Pulse]:
    """Run all pulses."""
    loop = asyncio.get_running_loop()
    asking = Asking(load)
    for _ in range(load.connections):
        await loop.create_connection(lambda: Connection(asking), load.host, load.port)
    pulses = []
    for number in range(load.pulses):
        if number:
            await asyncio.sleep(load.pause)
        pulses.append(await _pulse(asking, load))
    return pulses


async def _pulse(asking: Asking, load: Load) -> Pulse:
    asking.took, asking.wrong = [], 0
    cpu, began = time.process_time(), time.monotonic()
    asking.until = began + load.seconds
    if asking.paced:
        await _paced(asking, began, load.per_s)
    else:
        for connection in [asking.free.pop() for _ in range(load.connections)]:
            connection.ask(time.monotonic())
        await asyncio.sleep(load.seconds)
    busy = (time.process_time() - cpu) / (time.monotonic() - began)
    deadline = time.monotonic() + LAST_SECONDS
    while len(asking.free) < load.connections or asking.due:
        if time.monotonic() > deadline:
            sys.exit(f"{load.connections - len(asking.free)} questions had no answer after {LAST_SECONDS:.0f} s")
        await asyncio.sleep(TICK_SECONDS)
    ended = time.monotonic()
    return Pulse(began, ended, len(asking.took), asking.wrong, busy, asking.took)


async def _paced(asking: Asking, began: float, per_s: float) -> None:
    """Ask at fixed times, whether there are answers or not: who has to wait for a free connection waits too."""
    sent = 0
    while (now := time.monotonic()) < asking.until:
        upto = int((now - began) * per_s)
        for number in range(sent, upto):
            due = began + number / per_s
            if asking.free:
                asking.free.pop().ask(due)
            else:
                asking.due.append(due)
        sent = max(sent, upto)
        await asyncio.sleep(TICK_SECONDS)


if __name__ == "__main__":
    gc.freeze()
    sys.stdout.write(json.dumps({"pulses": uvloop.run(main(Load(*json.loads(sys.argv[1]))))}) + "\n")
