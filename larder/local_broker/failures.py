"""Explains in one line, from its log, why a broker does not run. Pure, except that it reads the end of the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from larder.config.errors import UnavailableError, no_room
from larder.declaring.problems import Problem
from larder.local_broker.ports import holder

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 16_384


def log_tail(log: Path) -> str:
    """Return the last lines of the log, without stack frames; an empty text without a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if not line.startswith("\tat ")][-TAIL_LINES:])


def cause_of_death(directory: Path, port: int, said: str) -> UnavailableError:
    """Return the error for a broker that exited by itself; `said` has the last lines of its log."""
    if re.search(r"No space left on device|File too large|Disk quota exceeded", said):
        return no_room(directory)
    if port and "Address already in use" in said:
        return port_in_use(port)
    problem = Problem(
        f"local broker in {directory}",
        "requires a process that goes on running",
        "one that ended by itself",
        f"read the end of its log, below or in {directory / 'broker.log'}",
    )
    return UnavailableError(problem, details=said)


def port_in_use(port: int) -> UnavailableError:
    """Return the error for a port that another process uses."""
    problem = Problem(
        "local broker",
        f"requires port {port} on 127.0.0.1",
        f"{holder(port)} listening there",
        f"end that, choose another with --port, or, if it is Kafka, set KAFKA=127.0.0.1:{port}",
    )
    return UnavailableError(problem)


def silent(place: str, seconds: float, said: str) -> UnavailableError:
    """Return the error for a broker that runs but does not answer."""
    problem = Problem(
        f"local broker at {place}",
        f"requires an answer within {seconds:g} s",
        "none",
        "look at its log; a machine that is too busy or short of memory needs longer",
    )
    return UnavailableError(problem, details=said)
