"""A process that is killed while it writes, again and again, and the model of its store.

What happens to one store over many lives: batches are applied, with RocksDB's log and without it; indexes come and go;
now and then the topic's log is read again as a whole, which by then has lost some keys. Each life first checks
the state that the previous one left.
"""

import json
import os
import random
import signal
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from larder import OwnerTopic
from larder.store import Memory, Table
from larder.store.layout import ENTRY, HEADER_SIZE, MET, ROW, FullRead, FullReadStage
from larder.store.values import encoded
from tests.larder.store.samples import Customer, Sent, gone, row

COUNTRIES = ["AT", "DE", None, "A\0T"]
INDEXES: Final = [("country",), ("country", "name"), ()]
KEYS = 60
KIB = 1 << 10
POINTS: Final = "points"
FAILURE: Final = "failure"
# Files with the acknowledged changes, and the full reads that were started.
REPORTED: Final = "reported"
READS: Final = "reads"

Key = str
FullReads = list[tuple[int, int]]
"""The numbers of full reads that were begun, with the position of the store."""


def topic(indexes: tuple[str, ...]) -> OwnerTopic:
    return OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", indexes=indexes)


@cache
def record(offset: int) -> tuple[Key, int, Sent]:
    """Return key, revision and record at an offset, always the same."""
    chosen = random.Random(offset)  # noqa: S311  repeatable, not secret
    key, revision = f"c{chosen.randrange(KEYS)}", offset + chosen.randrange(-50, 50)
    if chosen.random() < 0.2:
        return key, revision, gone(offset, key, revision, timestamp=offset)
    country, name = chosen.choice(COUNTRIES), "n" * chosen.randrange(300)
    return key, revision, row(offset, key, revision, timestamp=offset, country=country, name=name)


@cache
def lost_keys(read: int) -> frozenset[Key]:
    """Return the keys whose records the log has lost when it is read again."""
    chosen = random.Random(f"full read {read}")  # noqa: S311  repeatable, not secret
    return frozenset(f"c{number}" for number in chosen.sample(range(KEYS), KEYS // 6))


def log(first: int, end: int, reads: FullReads) -> list[Sent]:
    """Return the records that a log still has after full reads."""
    found = ((offset, *record(offset)) for offset in range(first, end))
    return [
        sent
        for offset, key, _, sent in found
        if not any(offset < before and key in lost_keys(read) for read, before in reads)
    ]


def rows_at(position: int, reads: FullReads) -> dict[bytes, bytes]:
    """Return the rows of all records before a position, without those that full reads did not find."""
    newest: dict[Key, tuple[int, bytes | None]] = {}
    lost: dict[int, set[Key]] = {}
    for read, before in reads:
        lost.setdefault(before, set()).update(lost_keys(read))
    for offset in range(position + 1):
        for key in lost.get(offset, ()):
            # The deletion stays remembered.
            if key in newest and newest[key][1] is not None:
                del newest[key]
        if offset < position:
            key, revision, sent = record(offset)
            if key not in newest or revision > newest[key][0]:
                newest[key] = revision, sent.value
    return {key.encode(): value for key, (_, value) in newest.items() if value is not None}


class Life:
    """One process with the store of a directory, which dies at a step of the store."""

    def __init__(self, directory: Path, seed: int, steps: int) -> None:
        """Live for so many `steps` of the store; -1: until it is killed from outside."""
        self.directory = directory
        self.chosen = random.Random(seed)  # noqa: S311  repeatable, not secret
        self.left = steps
        self.doing = "open"
        self.indexes = self.chosen.choice(INDEXES)
        # With memtables of 64 KB, files are written and merged all the time.
        memory = Memory(256 * KIB, 128 * KIB, 64 * KIB)
        self.table = Table(topic(self.indexes), directory, memory, "global", fault=self.fault)

    def fault(self, step: str) -> None:
        self.left -= 1
        if self.left == 0:
            with (self.directory / POINTS).open("a") as points:
                points.write(f"{self.doing}: {step}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def live(self) -> None:
        """Compare, then continue until the end; raise AssertionError."""
        assert self.table.open((0,), "id-1")[0].rebuilt is None
        self.doing = "index"
        while self.table.maintain(20):
            pass
        self.reads = self.begun_reads()
        self.compare()
        unlogged = self.chosen.random() < 0.3
        while True:
            if unlogged and self.chosen.random() < 0.1:
                self.doing = "switch"
                keep(self.directory / REPORTED, (-1, 0))
                self.switch()
            self.go_on()
            if not unlogged:
                keep(self.directory / REPORTED, self.reached())

    def switch(self) -> None:
        """Write without the log, or with it again."""
        part = self.table.shard(0)
        if self.chosen.random() < 0.5:
            part.catch_up(1_000)
        else:
            part.caught_up()

    def go_on(self) -> None:
        read, position = self.table.last_full_read(0), self.table.position(0)
        if read is None or (read.stage is FullReadStage.DONE and self.chosen.random() < 0.04):
            self.doing = "read again"
            self.reads.append((len(self.reads), position))
            keep(self.directory / READS, self.reads)
            self.table.read_again(0, 0, float(self.reads[-1][0]))
        elif read.stage is FullReadStage.SWEEPING:
            self.doing = "sweep"
            self.table.sweep(10)
        elif read.stage is FullReadStage.READING and position >= read.before:
            self.doing = "reach the end"
            self.table.reached_end(0)
        else:
            again = read.stage is FullReadStage.READING
            self.doing = "read again" if again else "apply"
            count = self.chosen.randrange(50, 400) if again else self.chosen.randrange(1, 25)
            end = min(position + count, read.before) if again else position + count
            self.table.apply(0, log(position, end, self.reads), end)

    def begun_reads(self) -> FullReads:
        """Return the full reads that the store knows; the last one may have been lost with the process."""
        file, read = self.directory / READS, self.table.last_full_read(0)
        begun = [(number, before) for number, before in json.loads(file.read_text())] if file.exists() else []
        return [] if read is None else begun[: int(read.begun) + 1]

    def reached(self) -> tuple[int, int]:
        """Return the progress of the store: full reads, and the position in the log as it was first read."""
        return len(self.reads), max(self.table.position(0), self.last_read().before)

    def last_read(self) -> FullRead:
        return self.table.last_full_read(0) or FullRead(FullReadStage.DONE, 0, 0.0, 0)

    def compare(self) -> None:
        """Check that rows, entries, counts and marks agree with the position, and no acknowledged change is lost."""
        file, stage = self.directory / REPORTED, self.last_read().stage
        if file.exists():
            assert self.reached() >= tuple(json.loads(file.read_text())), "what was written is lost"
        keep(self.directory / REPORTED, self.reached())
        stored = dict(self.stored())
        position = self.reached()[1]
        after = {} if stage is FullReadStage.READING else rows_at(position, self.reads)
        before = after if stage is FullReadStage.DONE else rows_at(position, self.reads[:-1])
        if stage is FullReadStage.SWEEPING:
            assert after.items() <= stored.items() <= before.items()
        else:
            assert stored == before
        assert self.table.sizes().rows == len(stored)
        store = self.table.shard(0).store
        assert {key for key, _ in store.scan_prefix(ENTRY)} == set(self.entries(stored))
        if stage is FullReadStage.DONE:
            assert next(store.scan_prefix(MET), None) is None

    def stored(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self.table.shard(0).store.scan_prefix(ROW):
            if len(value) > HEADER_SIZE:
                yield key[1:], value[HEADER_SIZE:]

    def entries(self, stored: dict[bytes, bytes]) -> Iterator[bytes]:
        for key, value in stored.items():
            found = json.loads(value)
            for index in self.indexes:
                yield index.encode().join((ENTRY, b"\0")) + encoded(found.get(index)) + key


def keep(path: Path, value: object) -> None:
    """Write a file atomically."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(path)


def live_and_die(directory: str, seed: int, lives: int, longest: int) -> None:
    """Run lives one after the other, each killed at a step; exit with 1 if one ends otherwise.

    Run it in a process that has opened no store: each life is forked off it.
    """
    chosen = random.Random(seed)  # noqa: S311  repeatable, not secret
    for life in range(lives):
        steps = chosen.randrange(1, longest)
        if not (pid := os.fork()):
            one_life(directory, seed * 100_000 + life, steps)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGKILL:
            os._exit(1)


def one_life(directory: str, seed: int, steps: int) -> None:
    """Live in this process, and never return; a failure is written to a file."""
    try:
        Life(Path(directory), seed, steps).live()
    except BaseException:  # noqa: BLE001  all errors are reported
        (Path(directory) / FAILURE).write_text(f"life {seed}, {steps} steps\n{traceback.format_exc()}")
    os._exit(1)
