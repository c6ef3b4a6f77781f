"""Faults that act on one worker at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.field import Field
from tests.faults.plan import planned
from tests.faults.rig import NAMES, Rig
from tests.support.workers import Worker


def sleeping() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


async def test_a_worker_that_another_fault_restarts_is_not_started_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Field(Rig(tmp_path), planned(0), "t", tmp_path, "", [])
    worker, next_one = field.workers[NAMES[0]], sleeping()
    worker._process = sleeping()
    kill = Worker.kill

    def kill_while_another_starts_it(killed: Worker) -> None:
        kill(killed)
        killed._process = next_one

    monkeypatch.setattr(Worker, "kill", kill_while_another_starts_it)
    try:
        await field.kill(NAMES[0])
        assert NAMES[0] in field.running()
    finally:
        next_one.kill()
        next_one.wait()
