"""The load generator, a program: asks one address for rows over many connections, at full speed or at a fixed rate.

`python -m tests.bench.http_load JSON` (a `Load`) prints one line of JSON: the pulses, each with its answers. It speaks
minimal HTTP over raw sockets, keeps connections alive, and never pipelines, so that it needs less CPU than any server.
`busy` is its share of a core.
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
# Wait this long for requests that are in flight at the end of a pulse. They count in it.
LAST_SECONDS = 5.0


class Load(NamedTuple):
    """The requests to make.

    paths        requested in turn, repeatedly.
    per_s        requests per second, or 0 for full speed.
    seconds      the length of each pulse; pause, the time between two pulses.
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
    """The answers from `began` to `ended` (monotonic clock). `took` is in ms since each request was due."""

    began: float
    ended: float
    answers: int
    wrong: int
    busy: float
    took: list[float]

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return self.answers / (self.ended - self.began)


class Asking:
    """The requests in order, the time at which each was due, and their results."""

    def __init__(self, load: Load) -> None:
        """Encode each request once."""
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
        """Return the next request."""
        self._next = (self._next + 1) % len(self.requests)
        return self.requests[self._next]

    def go_on(self, connection: Connection, now: float) -> None:
        """Send another request if one is due."""
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
        """Send the requests of `asking`."""
        self._asking = asking
        self._due = 0.0
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first pulse."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not subclasses of asyncio's
        self._asking.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail: the server must not close connections during the measurement."""
        if self._left or self._head or self not in self._asking.free:
            sys.exit(f"the server closed a connection: {exc!r}")

    def ask(self, due: float) -> None:
        """Send a request that was due at `due`."""
        self._due = due
        self._transport.write(self._asking.request())

    def data_received(self, data: bytes) -> None:
        """Receive an answer. It counts if it is complete and has status 200."""
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
            sys.exit(f"{load.connections - len(asking.free)} requests had no answer after {LAST_SECONDS:.0f} s")
        await asyncio.sleep(TICK_SECONDS)
    ended = time.monotonic()
    return Pulse(began, ended, len(asking.took), asking.wrong, busy, asking.took)


async def _paced(asking: Asking, began: float, per_s: float) -> None:
    """Send requests at fixed times, whether or not there are answers. Waiting for a free connection counts as well."""
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
