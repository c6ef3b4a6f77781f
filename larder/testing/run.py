"""One run of a service in memory: topics, the tables that are level with them, and the steps that read them.

Steps are made of the very functions that the worker uses. Which of them goes on next is decided elsewhere: by the
driver after each record, by a run over lists for one step after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from larder.declaring.checks.declarations import problems
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of, dead_letter
from larder.declaring.facts import dead_letters_name, input_name
from larder.declaring.operators import Operator, Topic
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.testing.records import Headers, MemoryLetter, MemoryRecord, TopicRecords
from larder.testing.rekeying import MemoryRekeying, rekeying
from larder.testing.steps import MemoryStep, open_in_memory
from larder.testing.tables import MemoryTable

log = logging.getLogger("larder")

MOST_FOR_A_RECORD: Final = 10_000
"""So much may come of one record. A service that feeds itself without end comes there in less than a second."""


class MemoryRun:
    """The topics of a service, from which all else follows.

    now       in seconds since 1970; before all time where no wake-up is to come.
    complete  all records are there before the first is taken: a partner that is missing will not come.
    first     topics whose records a step of several inputs takes before those of others, in this order.
    """

    def __init__(self, service: Service, now: float, *, complete: bool = False, first: Sequence[str] = ()) -> None:
        """Open all operators of a service; DeclarationError where its declarations have problems."""
        found = problems([service])
        if found:
            raise DeclarationError(found)
        self.service = service
        self.now = now
        self.complete = complete
        self.letters: list[MemoryLetter] = []
        self.dead_letters = dead_letters_name(service.name)
        self.produced = TopicRecords({name: [] for name in _written(service)})
        self._logs: dict[str, list[MemoryRecord]] = {}
        self.tables = {table.name: MemoryTable(table.topic) for table in service.tables}
        self._rekeyings = _rekeyings(self)
        self.readers = dict(self._readers(first))

    def table(self, topic: OwnerTopic) -> MemoryTable:
        """Give the rows of a topic, as they are by now."""
        return self.tables[topic.name]

    def log(self, topic: str) -> list[MemoryRecord]:
        """Give the records of a topic, those of others and those of the service."""
        return self._logs.setdefault(topic, [])

    def append(self, topic: str, record: MemoryRecord) -> None:
        """Add a record to its topic: a table takes it at once, and `.by` sends it on."""
        self.log(topic).append(record)
        try:
            if topic in self.tables:
                self.tables[topic].take(record)
        except ValueError as error:
            self.park(topic, record, cause_of(error))
        for each in self._rekeyings.get(topic, ()):
            try:
                each.take(record)
            except ValueError as error:
                self.park(topic, record, cause_of(error))

    def publish(
        self, into: Topic, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = ()
    ) -> None:
        """Write a record of the service."""
        record = MemoryRecord(key, value, len(self.log(into.name)), headers, timestamp, into.row)
        self.produced[into.name].append(record)
        self.append(into.name, record)

    def park(self, topic: str, record: MemoryRecord, cause: str) -> None:
        """Add a dead letter."""
        log.warning("%s is a dead letter: %s", Coordinates(topic, 0, record.offset), cause)
        letters = self.produced[self.dead_letters]
        letter = dead_letter(self.service.name, topic, 0, record, cause)
        letters.append(MemoryRecord(letter.key, letter.value, len(letters), tuple(letter.headers), record.timestamp))
        self.letters.append(MemoryLetter(topic, record.offset, cause, record))

    def advance(self, to: float) -> None:
        """Move the clock on, and let steps do what is due on the way, each thing at its time."""
        while (due := min((each.step.due() for each in self.readers.values()), default=inf)) <= to:
            self.now = max(self.now, due)
            self.settle()
        self.now = to

    def settle(self, *only: Operator) -> None:
        """Let operators, or all, go on until they have nothing left to do: records first, then what else is due."""
        readers = [reader for operator, reader in self.readers.items() if not only or operator in only]
        most = MOST_FOR_A_RECORD * max(1, sum(reader.behind for reader in readers))
        for _ in range(most):
            if not (any(each.take_next() for each in readers) or any(each.step.tick() for each in readers)):
                return
        raise DeclarationError([_endless(self.service)])

    def _readers(self, first: Sequence[str]) -> Iterator[tuple[Operator, Reader]]:
        for operator in self.service.operators:
            if (step := open_in_memory(operator, self)) is not None:
                yield operator, Reader(self, step, first)


class _Input:
    """An input of a step: its records, and how many of them were taken."""

    def __init__(self, name: str, log: list[MemoryRecord], take: Callable[[MemoryRecord], None]) -> None:
        self.name = name
        self.take = take
        self._log = log
        self._taken = 0

    @property
    def behind(self) -> int:
        return len(self._log) - self._taken

    def next(self) -> MemoryRecord:
        self._taken += 1
        return self._log[self._taken - 1]


class Reader:
    """A step, and how far it has read each of its inputs."""

    def __init__(self, run: MemoryRun, step: MemoryStep, first: Sequence[str]) -> None:
        """Begin before the first record; inputs in the order of `first`, others after them."""
        self.step = step
        self._refuse = run.park
        places = {name: place for place, name in enumerate(first)}
        sources = sorted(step.inputs, key=lambda source: places.get(events_of(source).name, len(places)))
        names = {source: input_name(run.service, source) for source in sources}
        self._inputs = [_Input(name, run.log(name), step.inputs[source]) for source, name in names.items()]

    @property
    def behind(self) -> int:
        """How many records it has yet to take."""
        return sum(each.behind for each in self._inputs)

    def take_next(self) -> bool:
        """Take a record, if there is one, and say so; one that the step refuses is a dead letter."""
        for each in self._inputs:
            if each.behind:
                record = each.next()
                try:
                    each.take(record)
                except ValueError as error:
                    self._refuse(each.name, record, cause_of(error))
                return True
        return False


def _written(service: Service) -> Iterator[str]:
    yield from (topic.name for topic in service.written)
    for operator in service.operators:
        yield from (kept.name for kept in operator.keeps(service.name) if kept.like is None)
    yield dead_letters_name(service.name)


def _rekeyings(run: MemoryRun) -> Mapping[str, Sequence[MemoryRekeying]]:
    """What `.by` makes of the records of each topic; several operators may read the same."""
    found: dict[str, dict[str, MemoryRekeying]] = {}
    for source in run.service.sources:
        if isinstance(source, Rekeyed):
            name = input_name(run.service, source)
            found.setdefault(source.source.name, {}).setdefault(name, rekeying(source, name, run))
    return {topic: list(each.values()) for topic, each in found.items()}


def _endless(service: Service) -> Problem:
    return Problem(
        f"service {service.name}",
        "a run in memory requires that what comes of a record comes to an end",
        f"{MOST_FOR_A_RECORD} records that came of one",
        "look for operators that feed one another, or themselves, without end",
    )
