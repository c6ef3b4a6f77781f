"""Runs seeds one after the other on one broker. Prints a line for each, and keeps the files of those that fail."""

from __future__ import annotations

import shutil
import time
import traceback
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults.history import Violation
from tests.faults.keeping import keep
from tests.faults.plan import Plan, planned
from tests.faults.rig import Rig
from tests.faults.trial import prepared
from tests.support.topics import delete, existing


class Outcome(NamedTuple):
    """The result of a seed. `records` is the number of committed records; `directory` has the kept files.

    `figures` are what its parts have counted.
    """

    plan: Plan
    records: int
    seconds: float
    violations: list[Violation]
    directory: Path
    figures: Sequence[str] = ()

    def __str__(self) -> str:
        verdict = "passed"
        if self.violations:
            first = str(self.violations[0]).splitlines()[0]
            verdict = f"FAILED: {first} ({len(self.violations)} in all; see {self.directory})"
        figures = "".join(f"{each}, " for each in (f"{self.records} records", *self.figures, f"{self.seconds:.0f} s"))
        return f"seed {self.plan.seed}: {self.plan}; {figures}{verdict}"


async def run(rig: Rig, seed: int, directory: Path) -> Outcome:
    """Run one seed in its own topics and in its own directory below `directory`."""
    plan, since = planned(seed), time.monotonic()
    prefix = f"seed{seed}-{uuid.uuid4().hex[:6]}"
    mine = directory / prefix
    mine.mkdir(parents=True)
    async with prepared(rig, plan, prefix, mine) as trial:
        try:
            found = await trial.run()
        except Exception:  # noqa: BLE001 - a seed that cannot be judged has failed, and the next one is tried
            found = [Violation("suite", traceback.format_exc())]
        seen, figures = trial.reader.seen, trial.figures()
        if found:
            keep(mine, plan, trial.field.history, seen, found)
    if not found:
        shutil.rmtree(mine)
    await delete(rig.kafka, *await existing(rig.kafka, prefix))
    return Outcome(plan, len(seen), time.monotonic() - since, found, mine, figures)
