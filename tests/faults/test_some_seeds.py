"""Some seeds of the fault suite on one broker. `make faults` runs any others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.faults.plan import planned
from tests.faults.rig import rigged
from tests.faults.running import run

SEEDS = (9, 31, 66)
"""Short seeds, which together cover every part of the workload."""


@pytest.mark.timeout(300)
async def test_three_workers_keep_their_promises_under_faults(tmp_path: Path) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the suite's own clients, while a broker is down
    async with rigged(tmp_path / "broker") as rig:
        for seed in SEEDS:
            outcome = await run(rig, seed, tmp_path)
            assert not outcome.violations, outcome


def test_these_seeds_cover_every_part_of_the_workload() -> None:
    covered = {part for seed in SEEDS for part in planned(seed).parts}
    assert covered == {part for seed in range(200) for part in planned(seed).parts}


def test_the_plan_of_a_seed_does_not_change() -> None:
    assert planned(7) == planned(7)
    assert len({str(planned(seed)) for seed in range(50)}) > 40
