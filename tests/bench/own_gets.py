"""Measures an in-process get of one row from a table of Larder: warm, random keys, raw and typed.

The program `python -m tests.bench.own_gets ROWS DIRECTORY` prints one line of JSON, in microseconds.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from larder.store import Memory, Table
from tests.bench import shop
from tests.bench.declarations import rows as declared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH = 1000
GETS = 200_000
# The first warms up; the median of the rest counts.
ROUNDS = 4


class Record(NamedTuple):
    """One record as from a consumer."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


def fill(rows: int, directory: Path) -> None:
    """Write a table."""
    table = opened(directory, Memory())
    for first in range(0, rows, BATCH):
        numbers = range(first, min(first + BATCH, rows))
        table.apply(0, [Record(each, 0, shop.customer_key(each), shop.customer(each)) for each in numbers])
    table.close()


def opened(directory: Path, memory: Memory) -> Table:
    """Open the table, as after a restart."""
    table = Table(declared.topic, directory, memory, "global")
    table.open([0], None)
    return table


def microseconds(get: Callable[[Any], object], keys: Sequence[Any]) -> float:
    """Return the time of one call, including the loop."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for key in keys:
            if get(key) is None:
                raise KeyError(key)
        rounds.append((time.perf_counter() - started) / len(keys) * 1e6)
    return sorted(rounds[1:])[len(rounds) // 2 - 1]


def main(rows: int, directory: Path) -> None:
    """Measure and print."""
    fill(rows, directory)
    numbers = shop.customers_of(range(GETS), rows)
    encoded = [shop.customer_key(each) for each in numbers]
    typed = [key.decode() for key in encoded]
    gc.freeze()
    gc.disable()
    table = opened(directory, Memory())
    figures = {"raw_us": microseconds(table.raw, encoded), "typed_us": microseconds(table.get, typed)}
    table.close()
    # Without cached Python objects: the cost of a row that was not requested before.
    table = opened(directory, Memory(hot_row_bytes=0))
    figures["raw_from_store_us"] = microseconds(table.raw, encoded)
    table.close()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
