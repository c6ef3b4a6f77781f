"""Runs a service in memory: topics, tables that are always up to date with them, and steps that read them.

Steps use the functions of the worker. Callers decide their order: the driver runs all of them after each record, and a
run over lists runs them one after another.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from larder.counters.left_out_headers import LeftOutHeaders
from larder.declaring.carried import carried_names
from larder.declaring.checks.declarations import problems
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of, dead_letter
from larder.declaring.facts import dead_letters_name, input_name
from larder.declaring.operators import Operator, Topic
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.carried import CarriedHeaders, Carrying
from larder.testing.readers import Reader
from larder.testing.records import Headers, MemoryLetter, MemoryRecord, TopicRecords
from larder.testing.rekeying import rekeying
from larder.testing.steps import open_in_memory
from larder.testing.tables import MemoryTable
from larder.testing.wake_ups import MemoryWakeUps

log = logging.getLogger("larder")

WORKER: Final = "driver"
"""The worker that traced records name."""

MOST_FOR_A_RECORD: Final = 10_000
"""The most records that may result from one. A service that feeds itself endlessly gets there within a second."""


class MemoryRun:
    """The topics of a service, its tables and its steps.

    now       in seconds since 1970; minus infinity if no wake-up is to fire.
    complete  whether all records exist before the first is taken: a missing partner will not arrive.
    first     topics whose records steps take before those of others, in this order.
    """

    def __init__(self, service: Service, now: float, *, complete: bool = False, first: Sequence[str] = ()) -> None:
        """Open all operators of a service; raise DeclarationError if its declarations have problems."""
        found = problems([service])
        if found:
            raise DeclarationError(found)
        self.service = service
        self.now = now
        self.complete = complete
        self.letters: list[MemoryLetter] = []
        self.letters_topic = dead_letters_name(service.name)
        self.produced = TopicRecords(
            {name: [] for name in _written(service)}, [each.address for each in service.requests]
        )
        self._logs: dict[str, list[MemoryRecord]] = {}
        self._carrying = Carrying(
            carried_names(service), [input_name(service, each) for each in service.rekeyed], WORKER
        )
        self._left_out = LeftOutHeaders()
        tables = [*service.tables, *(remote.table for remote in service.asked)]
        self.tables = {table.name: MemoryTable(table.topic) for table in tables}
        self.wake_ups = defaultdict[str, MemoryWakeUps](MemoryWakeUps)
        self._level = _level(self)
        self.readers = dict(self._readers(first))

    def table(self, topic: OwnerTopic) -> MemoryTable:
        """Return the rows of a topic, as they are now."""
        return self.tables[topic.name]

    def log(self, topic: str) -> list[MemoryRecord]:
        """Return the records of a topic, those of the test and those of the service."""
        return self._logs.setdefault(topic, [])

    def carried(self, topic: str) -> CarriedHeaders:
        """Return what the records of a topic carry to what is made from them."""
        # A run without a clock is at the beginning of time.
        return CarriedHeaders(self._carrying, topic, 0, self._left_out, lambda: max(self.now, 0.0))

    def append(self, topic: str, record: MemoryRecord) -> None:
        """Add a record to its topic: a table applies it at once, and `.by` forwards it."""
        self.log(topic).append(record)
        for take in self._level[topic]:
            try:
                take(record)
            except ValueError as error:
                self.dead_letter(topic, record, cause_of(error))

    def publish(
        self, into: Topic, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = ()
    ) -> None:
        """Publish a record of the service."""
        record = MemoryRecord(key, value, len(self.log(into.name)), tuple(headers), timestamp, into.row)
        self.produced[into.name].append(record)
        self.append(into.name, record)

    def dead_letter(self, topic: str, record: MemoryRecord, cause: str) -> None:
        """Add a dead letter."""
        log.warning("%s is a dead letter: %s", Coordinates(topic, 0, record.offset), cause)
        letters = self.produced[self.letters_topic]
        letter = dead_letter(self.service.name, topic, 0, record, cause)
        letters.append(MemoryRecord(letter.key, letter.value, len(letters), tuple(letter.headers), record.timestamp))
        self.letters.append(MemoryLetter(topic, record.offset, cause, record))

    def advance(self, to: float) -> None:
        """Move the clock forward. On the way, steps do what is due, each thing at its time."""
        while (due := min((each.step.due() for each in self.readers.values()), default=inf)) <= to:
            self.now = max(self.now, due)
            self.settle()
        self.now = to

    def settle(self, *only: Operator) -> None:
        """Run these operators, or all, until they have nothing to do: records first, then whatever else is due."""
        readers = [reader for operator, reader in self.readers.items() if not only or operator in only]
        most = MOST_FOR_A_RECORD * max(1, sum(reader.behind for reader in readers))
        for _ in range(most):
            if not (_take_next(readers) or any(each.step.tick() for each in readers)):
                return
        raise DeclarationError([_endless(self.service)])

    def _readers(self, first: Sequence[str]) -> Iterator[tuple[Operator, Reader]]:
        for operator in self.service.operators:
            if (step := open_in_memory(operator, self)) is not None:
                yield operator, Reader(self, step, first)


def _take_next(readers: Sequence[Reader]) -> bool:
    """Let the reader whose records come first take the next one, and return whether there was one."""
    behind = [each for each in readers if each.behind]
    if behind:
        min(behind, key=lambda each: each.place).take_next()
    return bool(behind)


def _written(service: Service) -> Iterator[str]:
    yield from (topic.name for topic in service.written)
    for operator in service.operators:
        yield from (kept.name for kept in operator.keeps(service.name) if kept.like is None)
    yield dead_letters_name(service.name)


def _level(run: MemoryRun) -> Mapping[str, Sequence[Callable[[MemoryRecord], object]]]:
    """Return, by topic, the functions that take each record at once: that of its table, and of each `.by` on it."""
    level = defaultdict[str, list[Callable[[MemoryRecord], object]]](list)
    for name, table in run.tables.items():
        level[name].append(table.take)
    rekeyed = {input_name(run.service, each): each for each in run.service.sources if isinstance(each, Rekeyed)}
    for each in rekeyed.values():
        level[each.source.name].append(rekeying(each, run))
    return level


def _endless(service: Service) -> Problem:
    return Problem(
        f"service {service.name}",
        "a run in memory requires that what comes of a record comes to an end",
        f"{MOST_FOR_A_RECORD} records that came of one",
        "look for operators that feed one another, or themselves, without end",
    )
