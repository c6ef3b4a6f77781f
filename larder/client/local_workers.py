"""The workers on this machine that use one data directory, and requests to their web ports.

A running worker has a file `<directory>/workers/<service>/<name>.json`. A killed worker leaves it behind, so we also
check its process. Requests have a timeout. A missing answer differs from a negative one.
"""

from __future__ import annotations

import http.client
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# Seconds for connecting, and for each read of an answer, which a worker sends within milliseconds.
ANSWER_SECONDS = 2.0

decoded: Final = msgspec.json.Decoder(float_hook=float).decode
"""Decodes JSON with numbers that no float can hold: undeclared fields of a row may have them."""


FAILURES: Final = (OSError, http.client.HTTPException)
"""The errors if a worker does not answer."""


class LocalWorker(NamedTuple):
    """A worker on this machine; `web` is the address of its web port, as http://host:port."""

    service: str
    worker: str
    pid: int
    web: str


class Reply(NamedTuple):
    """The answer of a worker; status 0 and no body if it gave none in time."""

    worker: LocalWorker
    status: int
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of problem in the answer; "" if it has none."""
        return str(self.body.get("type", "")).removeprefix("urn:larder:")

    @property
    def said(self) -> str:
        """The reason why the worker did not answer the query."""
        return str(self.body.get("found", f"status {self.status}")) if self.status else "no answer"


def local_workers(directory: Path) -> list[LocalWorker]:
    """Return the workers whose process is alive, by service and name."""
    found = []
    for path in sorted((directory / "workers").glob("*/*.json")):
        try:
            entry = msgspec.json.decode(path.read_bytes())
            worker = LocalWorker(entry["service"], entry["worker"], int(entry["pid"]), str(entry["web"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # gone since it was listed, or half written by a worker that was starting or killed
        if _is_alive(worker.pid):
            found.append(worker)
    return found


def ask(worker: LocalWorker, path: str, seconds: float = ANSWER_SECONDS) -> Reply:
    """Request `path`, which is already encoded, from a worker's web port."""
    return _replied(worker, path, seconds, {"Accept": "application/json"})


def post(worker: LocalWorker, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
    """Send a request that changes a row, with `headers`."""
    json = {"Accept": "application/json", "Content-Type": "application/json"}
    return _replied(worker, path, seconds, {**json, **headers}, body)


def _replied(
    worker: LocalWorker, path: str, seconds: float, headers: Mapping[str, str], body: bytes | None = None
) -> Reply:
    try:
        with requested(worker, path, seconds, headers, body) as answer:
            return read_reply(worker, answer)
    except FAILURES:
        return Reply(worker, 0, {})


@contextmanager
def requested(
    worker: LocalWorker, path: str, seconds: float, headers: Mapping[str, str], body: bytes | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Get `path`, or post a body to it, and yield the response; raises `FAILURES`, also after `seconds` of silence."""
    connection = http.client.HTTPConnection(urlsplit(worker.web).netloc, timeout=seconds)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        yield connection.getresponse()
    finally:
        connection.close()


def read_reply(worker: LocalWorker, answer: http.client.HTTPResponse) -> Reply:
    """Read a response as a reply; anything but a JSON object counts as no body."""
    try:
        body = decoded(answer.read())
    except (ValueError, RecursionError):
        body = None
    return Reply(worker, answer.status, body) if isinstance(body, dict) else Reply(worker, 0, {})


def ask_all(workers: Sequence[LocalWorker], path: str) -> list[Reply]:
    """Send a request to all workers concurrently; replies come in the order of the workers."""
    if not workers:
        return []
    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(lambda worker: ask(worker, path), workers))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
