"""What the parts of a run share: broker, sizes, names, directories, and one attempt of one contestant."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.job import Job
from tests.bench.loading import delete_topics
from tests.bench.process import ROOT, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.java_peer import JavaPeer
    from tests.bench.plan import Plan

PEERS = ROOT / ".venv-bench" / "bin" / "python"
PROGRAMS = Path(__file__).parent


@dataclass(frozen=True)
class Bench:
    """One run. `name` is the prefix of all its topics and groups; `say` shows progress.

    `no_round_after` is a time of the monotonic clock.
    """

    name: str
    brokers: str
    plan: Plan
    directory: Path
    java: JavaPeer
    say: Callable[[str], None]
    no_round_after: float
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def begins(self, round_number: int) -> bool:
        """Return whether to run another round. The first one always runs."""
        if round_number == 0:
            return True
        return round_number < self.plan.rounds and time.monotonic() < self.no_round_after

    def topic(self, name: str) -> str:
        """Return the full name of a data topic."""
        return f"{self.name}.{name}"

    def job(self, contestant: str, table: str, rows: int, source: str = "") -> Job:
        """Return a new job over data topics, with its own name and directory."""
        name = f"{self.name}.{contestant}-{next(self._numbers)}"
        directory = self.directory / name
        directory.mkdir(parents=True)
        return Job(
            name,
            self.brokers,
            str(directory),
            self.topic(table),
            rows,
            self.topic(source) if source else "",
            f"{name}.enriched-{source}" if source else "",
        )

    async def forget(self, job: Job) -> None:
        """Remove the results and internal topics of an attempt, and its directory."""
        await delete_topics(self.brokers, job.name)
        shutil.rmtree(job.path, ignore_errors=True)

    def program(self, contestant: str, module: str, job: Job, *arguments: str) -> Command:
        """Return the command of a contestant in this environment."""
        command = [sys.executable, "-m", f"tests.bench.{module}", json.dumps(job._asdict()), *arguments]
        return Command(contestant, command, job.path)

    def peer(self, contestant: str, script: str, job: Job) -> Command:
        """Return the command of a contestant in the peers' environment."""
        command = [str(PEERS), str(PROGRAMS / "peers" / script), json.dumps(job._asdict())]
        return Command(contestant, command, job.path)
