"""kill -9 at any step: rows, indexes and position agree, and nothing that was written is lost."""

import multiprocessing
import random
import signal
import threading
from pathlib import Path

import pytest

from tables.engine import Table
from tables.engine.layout import ENTRY, HEADER_SIZE, ROW
from tables.engine.values import encoded
from tests.tables.engine.crashing import rows_at, told, topic, write_until_killed
from tests.tables.engine.samples import small_memory

INDEXES = [("country",), ("country", "name"), ()]
DEADLINE = 30.0


def killed_once(directory: Path, seed: int, steps: int, after: float | None = None, *, unlogged: bool = False) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tables.engine.crashing"])
    opening = context.Event()
    arguments = (str(directory), seed, steps, INDEXES[seed % 3], opening)
    child = context.Process(target=write_until_killed, args=arguments, kwargs={"unlogged": unlogged})
    child.start()
    assert opening.wait(DEADLINE)
    timer = threading.Timer(DEADLINE if after is None else after, child.kill)
    timer.start()
    child.join()
    timer.cancel()
    assert child.exitcode == -signal.SIGKILL


def check(directory: Path, indexes: tuple[str, ...]) -> int:
    """Compare a store with the model at its own position; gives the position."""
    table = Table(topic(indexes), directory, small_memory(), "global")
    assert table.open((0,), "id-1")[0].rebuilt is None
    while table.tend(1_000):
        pass
    store = table.part(0).store
    rows = [
        (key[1:].decode(), value[HEADER_SIZE:]) for key, value in store.scan_prefix(ROW) if len(value) > HEADER_SIZE
    ]
    assert rows == list(rows_at(table.position(0)))
    wanted = {
        index.encode().join((ENTRY, b"\0")) + encoded(getattr(table.get(key), index)) + key.encode()
        for key, _ in rows
        for index in indexes
    }
    assert {key for key, _ in store.scan_prefix(ENTRY)} == wanted
    assert table.sizes().rows == len(rows)
    position = table.position(0)
    table.close()
    return position


@pytest.mark.parametrize("seed", range(4))
def test_after_a_kill_at_any_step_rows_indexes_and_position_agree(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    reached = 0
    for kill in range(10):
        killed_once(tmp_path, seed + kill, chosen.randrange(1, 80))
        position = check(tmp_path, INDEXES[(seed + kill) % 3])
        assert position >= max(reached, told(tmp_path))
        reached = position
    assert reached > 0


@pytest.mark.parametrize("seed", range(2))
def test_after_a_kill_at_any_moment_rows_indexes_and_position_agree(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    reached = 0
    for kill in range(10):
        killed_once(tmp_path, seed + kill, steps=-1, after=chosen.uniform(0.02, 0.25))
        position = check(tmp_path, INDEXES[(seed + kill) % 3])
        assert position >= max(reached, told(tmp_path))
        reached = position
    assert reached > 0


@pytest.mark.parametrize("seed", range(3))
def test_without_the_log_a_kill_may_go_back_but_never_leaves_a_hole(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    reached = 0
    for kill in range(10):
        killed_once(tmp_path, seed + kill, chosen.randrange(20, 300), unlogged=True)
        reached = max(reached, check(tmp_path, INDEXES[(seed + kill) % 3]))
    assert reached > 0
