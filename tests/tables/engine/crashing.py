"""The process that is killed while it writes, and the model that its store is compared with."""

import os
import random
import signal
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

from tables import OwnerTopic
from tables.engine import Memory, Table
from tests.tables.engine.samples import Customer, Sent, gone, row

COUNTRIES = ["AT", "DE", None, "A\0T"]
KEYS = 200
KIB = 1 << 10
TOLD = "told"


def topic(indexes: tuple[str, ...]) -> OwnerTopic:
    return OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", indexes=indexes)


def record(offset: int) -> Sent:
    """The record at an offset, always the same one."""
    chosen = random.Random(offset)  # noqa: S311  to be repeated, not to be secret
    key, revision = f"c{chosen.randrange(KEYS)}", offset + chosen.randrange(-50, 50)
    if chosen.random() < 0.2:
        return gone(offset, key, revision, timestamp=offset)
    return row(
        offset, key, revision, timestamp=offset, country=chosen.choice(COUNTRIES), name="n" * chosen.randrange(300)
    )


def rows_at(position: int) -> Iterator[tuple[str, bytes]]:
    """The rows that all records before a position leave: for each key the highest revision, unless it deletes."""
    newest: dict[str, tuple[int, bytes | None]] = {}
    for offset in range(position):
        sent = record(offset)
        chosen = random.Random(offset)  # noqa: S311  to be repeated, not to be secret
        key, revision = f"c{chosen.randrange(KEYS)}", offset + chosen.randrange(-50, 50)
        if key not in newest or revision > newest[key][0]:
            newest[key] = revision, sent.value
    return ((key, value) for key, (_, value) in sorted(newest.items()) if value is not None)


def write_until_killed(
    directory: str, seed: int, steps: int, indexes: tuple[str, ...], opening: Event, *, unlogged: bool
) -> None:
    """Go on from the stored position, and die at the given step of the store, or be killed from outside.

    `opening` is set before the store is opened.
    `unlogged`: begin as a restore does, without the log, and change over and back now and then.
    """
    left = steps

    def fault(_step: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    opening.set()
    # Memtables of 64 KB: files are written and merged all the time.
    table = Table(topic(indexes), Path(directory), Memory(256 * KIB, 128 * KIB, 64 * KIB), "global", fault=fault)
    table.open((0,), "id-1")
    chosen = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    part = table.part(0)
    while True:
        if unlogged and chosen.random() < 0.1:
            chosen.choice([lambda: part.catch_up(1_000), part.caught_up])()
        at = table.position(0)
        table.apply(0, [record(offset) for offset in range(at, at + chosen.randrange(1, 60))])
        (Path(directory) / TOLD).write_text(str(table.position(0)))
        table.tend(20)


def told(directory: Path) -> int:
    """The last position that the process had seen written."""
    file = directory / TOLD
    return int(file.read_text() or 0) if file.exists() else 0
