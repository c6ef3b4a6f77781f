"""kill -9 at any step: rows, indexes and position agree, and nothing that was written is lost."""

import multiprocessing
import random
import signal
import threading
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.larder.store.crashing import FAILURE, POINTS, live_and_die, one_life

DEADLINE = 100.0
# Together a thousand points around the writes of a store, each with a comparison after it.
STORES, LIVES = 20, 50
LONGEST = 60


def forks() -> ForkServerContext:
    """Fork processes from one that has imported everything and opened no store."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.larder.store.crashing"])
    return context


def failure(directory: Path) -> str:
    file = directory / FAILURE
    return file.read_text() if file.exists() else "none"


@pytest.mark.parametrize("seed", range(STORES))
def test_after_a_kill_at_any_of_a_thousand_points_rows_indexes_and_position_agree(tmp_path: Path, seed: int) -> None:
    # One more life than points: the last one checks the state after the last kill.
    child = forks().Process(target=live_and_die, args=(str(tmp_path), seed, LIVES + 1, LONGEST))
    child.start()
    child.join(DEADLINE)
    assert child.exitcode is not None, f"it takes longer than {DEADLINE} s"
    assert child.exitcode == 0, failure(tmp_path)
    points = (tmp_path / POINTS).read_text().splitlines()[:LIVES]
    assert len(points) * STORES == 1_000
    assert {point.split(":")[0] for point in points} >= {"apply", "read again", "sweep"}


@pytest.mark.parametrize("seed", range(2))
def test_after_a_kill_at_any_moment_rows_indexes_and_position_agree(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    for life in range(20):
        child = forks().Process(target=one_life, args=(str(tmp_path), seed * 100 + life, -1))
        child.start()
        timer = threading.Timer(chosen.uniform(0.05, 0.3), child.kill)
        timer.start()
        child.join()
        timer.cancel()
        assert child.exitcode == -signal.SIGKILL, failure(tmp_path)
