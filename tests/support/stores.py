"""Reads the stores of a worker from the disk after the worker has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from larder.store.layout import ENTRY, HEADER_SIZE, ROW, entry_prefix
from larder.store.storage.memory import Memory
from larder.store.storage.store import Store, connect, no_fault
from larder.store.values import encoded
from tests.support.workers import Worker


def stored_rows(worker: Worker, table: str, only: Collection[str] | None = None) -> dict[bytes, bytes]:
    """Return all rows of a table in all stores or `only` some, as encoded key and JSON. Fail if two have a key."""
    rows: dict[bytes, bytes] = {}
    for store in _stores(worker, table, only):
        for key, stored in store.scan_prefix(ROW):
            if len(stored) > HEADER_SIZE:
                assert key[1:] not in rows, f"{key[1:]!r} of {table} is in two stores of {worker.name}"
                rows[key[1:]] = stored[HEADER_SIZE:]
    return rows


def stored_entries(worker: Worker, table: str, only: Collection[str] | None = None) -> set[bytes]:
    """Return all entries of all indexes of a table, to compare with `entry`."""
    return {key for store in _stores(worker, table, only) for key, _ in store.scan_prefix(ENTRY)}


def open_stores(worker: Worker) -> list[str]:
    """Return the stores that a worker has open for its first table. Stores of earlier partitions may remain as well."""
    _, status = worker.get("/services") or (0, {})
    table = status["tables"][0]
    return ["global"] if table["held"] == "global" else [str(each["partition"]) for each in table["partitions"]]


def entry(index: str, value: Any, key: str) -> bytes:
    """Return the index entry of one row with a text key."""
    return entry_prefix(index) + encoded(value) + key.encode()


def _stores(worker: Worker, table: str, only: Collection[str] | None) -> Iterator[Store]:
    assert not worker.alive(), f"{worker.name} must end before its stores are read"
    for path in sorted(worker.tables.joinpath(table).iterdir()):
        if path.is_dir() and (only is None or path.name in only):
            with opened_store(path) as store:
                yield store


@contextmanager
def opened_store(path: Path) -> Iterator[Store]:
    memory = Memory()
    store = connect(path, memory.options(whole=path.name == "global"), no_fault)
    try:
        yield store
    finally:
        store.close()
