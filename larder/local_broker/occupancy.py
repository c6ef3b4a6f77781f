"""Lets one broker at a time run in a directory, and tells any process which one runs.

Keeps `broker.json` (pid and ports) under a lock. The broker's process inherits the lock and holds it for as long as it
lives, so that a reused pid is never mistaken for the broker. Does not know Kafka.
"""

from __future__ import annotations

import fcntl
import time
from typing import IO, TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

FILE = "broker.json"
# A process that only checks holds the lock for microseconds; a process that starts a broker retries for this long.
LOCK_SECONDS = 0.2
STEP_SECONDS = 0.01


class Running(msgspec.Struct, frozen=True):
    """The broker that runs in a directory."""

    pid: int
    port: int
    controller_port: int


def occupy(directory: Path) -> IO[str] | None:
    """Lock the directory; return the open file for the broker to inherit, or None if a broker is running."""
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / FILE).open("a+", encoding="utf-8")
    deadline = time.monotonic() + LOCK_SECONDS
    while not _locked(file):
        if time.monotonic() > deadline:
            file.close()
            return None
        time.sleep(STEP_SECONDS)
    file.truncate(0)
    return file


def enter(file: IO[str], running: Running) -> None:
    """Record which broker runs here."""
    file.write(msgspec.json.encode(running).decode())
    file.flush()


def is_occupied(directory: Path) -> bool:
    """Return whether a broker runs or starts in `directory`."""
    try:
        file = (directory / FILE).open(encoding="utf-8")
    except FileNotFoundError:
        return False
    with file:
        return not _locked(file)


def running(directory: Path) -> Running | None:
    """Return the broker that runs in `directory`; None if there is none, or if it is still starting."""
    if not is_occupied(directory):
        return None
    text = (directory / FILE).read_text(encoding="utf-8")
    return msgspec.json.decode(text, type=Running) if text else None


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
