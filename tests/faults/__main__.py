"""python -m tests.faults SEEDS [BREAK]: one line for each seed, then the numbers of passed and failed (`make faults`).

A seed that has already finished on the same state of the code does not run again: its line is printed from the results.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.breaking import broken_copy
from tests.faults.plan import seeds_of
from tests.faults.results import ROOT, Results, state_of_the_code
from tests.faults.rig import rigged
from tests.faults.running import run

KEPT, STATE = "FAULTS_KEPT", "FAULTS_STATE"
"""Variables for a broken copy: where to keep results, and which state of the code they belong to."""


async def run_all(seeds: Sequence[int], results: Results, directory: Path) -> None:
    """Run the seeds without a result. Leave no process running, whatever happens."""
    left = [seed for seed in seeds if results.line(seed) is None]
    if not left:
        return
    broker = directory / "broker"
    shutil.rmtree(broker, ignore_errors=True)
    async with rigged(broker) as rig:
        for seed in left:
            outcome = await run(rig, seed, directory)
            results.add(seed, str(outcome), passed=not outcome.violations)
            print(outcome, flush=True)  # noqa: T201 - what the command is for


def main(text: str, broken: str = "") -> int:
    """Run the seeds and return the exit code. `broken` names the break in the code that runs."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of the suite's own clients, while a broker is down
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    seeds = seeds_of(text)
    kept = Path(os.environ.get(KEPT, ROOT / ".faults"))
    state = os.environ.get(STATE) or state_of_the_code()
    if broken:
        return run_broken(text, broken, kept, state)
    results = Results(kept / "results.jsonl", state)
    for seed in seeds:
        if (line := results.line(seed)) is not None:
            print(f"{line} (before)")  # noqa: T201
    asyncio.run(run_all(seeds, results, kept / state.replace(" ", "-")[-24:]))
    passed = sum(results.passed(seed) for seed in seeds)
    print(f"{passed} passed, {len(seeds) - passed} failed")  # noqa: T201
    return int(passed < len(seeds))


def run_broken(text: str, broken: str, kept: Path, state: str) -> int:
    """Run the suite in a copy of the code that is broken on purpose. Keep its results with the others."""
    copy = broken_copy(broken, kept / "broken" / broken)
    environment = {
        **os.environ,
        KEPT: str(kept),
        STATE: f"{state} {broken}",
        "PYTHONPATH": str(copy),
        "FAULTS_INSTEAD_OF": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.faults", text], cwd=copy, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
