"""Whose turn a directory is: at most one broker runs in it, and anyone can ask which.

Keeps `broker.json` (pid and ports), under a lock that the broker's own process inherits and so holds exactly as long
as it lives: a pid that was given away again is never mistaken for the broker. Knows nothing of Kafka.
"""

from __future__ import annotations

import fcntl
import time
from typing import IO, TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

FILE = "broker.json"
# Whoever asks holds the lock for microseconds; a starter that meets one tries again for this long.
ASKING_SECONDS = 0.2
STEP_SECONDS = 0.01


class Running(msgspec.Struct, frozen=True):
    """The broker that runs in a directory."""

    pid: int
    port: int
    controller_port: int


def occupy(directory: Path) -> IO[str] | None:
    """Take the directory: gives the open file whose descriptor the broker inherits, None when one is running."""
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / FILE).open("a+", encoding="utf-8")
    deadline = time.monotonic() + ASKING_SECONDS
    while not _taken(file):
        if time.monotonic() > deadline:
            file.close()
            return None
        time.sleep(STEP_SECONDS)
    file.truncate(0)
    return file


def enter(file: IO[str], running: Running) -> None:
    """Write down who runs here."""
    file.write(msgspec.json.encode(running).decode())
    file.flush()


def is_occupied(directory: Path) -> bool:
    """Say whether a broker runs, or is being started, in `directory`."""
    try:
        file = (directory / FILE).open(encoding="utf-8")
    except FileNotFoundError:
        return False
    with file:
        return not _taken(file)


def running(directory: Path) -> Running | None:
    """Give the broker that runs in `directory`; None also for one that is only just being started."""
    if not is_occupied(directory):
        return None
    text = (directory / FILE).read_text(encoding="utf-8")
    return msgspec.json.decode(text, type=Running) if text else None


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
