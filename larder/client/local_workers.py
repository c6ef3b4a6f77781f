"""The workers that run on this machine, out of one data directory, and questions to their web ports.

A running worker keeps `<directory>/workers/<service>/<name>.json`; one that was killed leaves it behind, so that its
process is looked for, too. Answers are bounded in time; a worker that gives none is told apart from one that says no.
"""

from __future__ import annotations

import http.client
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Seconds for connecting, and for each wait of an answer: a worker is at most slices of milliseconds away from it.
ANSWER_SECONDS = 2.0

decoded: Final = msgspec.json.Decoder(float_hook=float).decode
"""Reads JSON in which a row may have a number that no float can hold, in a field that its topic does not declare."""


class LocalWorker(NamedTuple):
    """A worker that runs here; `web` is the address of its web port, as http://host:port."""

    service: str
    worker: str
    pid: int
    web: str


class Reply(NamedTuple):
    """What a worker answered: 0 and no body for one that gave no answer in time."""

    worker: LocalWorker
    status: int
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of problem that was answered; "" where it was none."""
        return str(self.body.get("type", "")).removeprefix("urn:larder:")

    @property
    def said(self) -> str:
        """The reason that a worker gave for not answering with what was asked for."""
        return str(self.body.get("found", f"status {self.status}")) if self.status else "no answer"


def local_workers(directory: Path) -> list[LocalWorker]:
    """Give the workers whose process is alive, by service and name."""
    found = []
    for path in sorted((directory / "workers").glob("*/*.json")):
        try:
            entry = msgspec.json.decode(path.read_bytes())
            worker = LocalWorker(entry["service"], entry["worker"], int(entry["pid"]), str(entry["web"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # gone since it was listed, or half written by a worker that is starting or was killed
        if _is_alive(worker.pid):
            found.append(worker)
    return found


def ask(worker: LocalWorker, path: str, seconds: float = ANSWER_SECONDS) -> Reply:
    """Ask a worker's web port for `path`, which is encoded already."""
    connection = http.client.HTTPConnection(urlsplit(worker.web).netloc, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        return read_reply(worker, connection.getresponse())
    except (OSError, http.client.HTTPException):
        return Reply(worker, 0, {})
    finally:
        connection.close()


def read_reply(worker: LocalWorker, answer: http.client.HTTPResponse) -> Reply:
    """Read an answer; what is no JSON object is none."""
    try:
        body = decoded(answer.read())
    except (ValueError, RecursionError):
        body = None
    return Reply(worker, answer.status, body) if isinstance(body, dict) else Reply(worker, 0, {})


def ask_all(workers: Sequence[LocalWorker], path: str) -> list[Reply]:
    """Ask all of them at the same time; replies in the order of the workers."""
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
