"""python -m tests.faults SEEDS: one line for each seed, then how many passed and failed (`make faults SEEDS=1-10`).

A seed that has finished on this very state of the code is not run again: its line is printed as it was.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.plan import seeds_of
from tests.faults.results import ROOT, Results, state_of_the_code
from tests.faults.rig import rigged
from tests.faults.running import run

KEPT = ROOT / ".faults"


async def run_all(seeds: Sequence[int], results: Results, directory: Path) -> None:
    """Run those that are not known; whatever happens, nothing is left running."""
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


def main(text: str) -> int:
    """Give the exit code."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of the suite's own clients, while a broker is away
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    seeds = seeds_of(text)
    state = state_of_the_code()
    results = Results(KEPT / "results.jsonl", state)
    for seed in seeds:
        if (line := results.line(seed)) is not None:
            print(f"{line} (before)")  # noqa: T201
    asyncio.run(run_all(seeds, results, KEPT / state[:12]))
    passed = sum(results.passed(seed) for seed in seeds)
    print(f"{passed} passed, {len(seeds) - passed} failed")  # noqa: T201
    return int(passed < len(seeds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
