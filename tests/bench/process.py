"""One contestant as a process: started, observed from outside, and stopped. Its output goes to a file near its data."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
# Seconds for a contestant to commit, close its stores, and exit.
END_SECONDS = 20.0
TAIL_BYTES = 1500
STEP_SECONDS = 0.02


class ContestantError(Exception):
    """A contestant has no valid figure: it ended, stalled, or its results are wrong."""


class Command(NamedTuple):
    """The command of a contestant. `environment` is added to that of the benchmark."""

    contestant: str
    arguments: list[str]
    directory: Path
    environment: Mapping[str, str] = {}


class Process:
    """A running contestant; a context manager that ends it."""

    def __init__(self, command: Command) -> None:
        """Start it."""
        self.contestant = command.contestant
        self._log = command.directory / "output.log"
        command.directory.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                command.arguments,
                cwd=ROOT,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._seen = psutil.Process(self._popen.pid)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, by force if it takes too long."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        self._popen.kill()
        self._popen.wait()

    @property
    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._popen.poll()

    def require_running(self) -> None:
        """Raise `ContestantError` if it has ended."""
        if self.ended is not None:
            self.fail(f"ended by itself with exit code {self.ended}")

    def fail(self, why: str) -> NoReturn:
        """Raise `ContestantError` with the reason and the end of the process's output."""
        message = f"{self.contestant} {why}\n{self.output()[-TAIL_BYTES:]}".strip()
        raise ContestantError(message)

    def output(self) -> str:
        """Return its output so far."""
        return self._log.read_text(errors="replace")

    def cpu_seconds(self) -> float:
        """Return its user and system time since its start. The resolution is 10 ms on Linux."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def resident_mb(self) -> float:
        """Return its resident memory in MB of 2**20 bytes."""
        return float(self._seen.memory_info().rss) / 2**20


async def output_of(command: Command, seconds: float) -> dict[str, Any]:
    """Run a program that prints one line of JSON and exits. Return the object."""
    with Process(command) as process:
        deadline = time.monotonic() + seconds
        while process.ended is None:
            if time.monotonic() > deadline:
                process.fail(f"is not done after {seconds:.0f} s")
            await asyncio.sleep(STEP_SECONDS)
    lines = [line for line in process.output().splitlines() if line.startswith("{")]
    if process.ended or len(lines) != 1:
        process.fail(f"ended with exit code {process.ended} and {len(lines)} results")
    answer: dict[str, Any] = json.loads(lines[0])
    return answer
