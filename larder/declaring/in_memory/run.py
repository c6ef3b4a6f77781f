"""Running a service over lists of records: no broker, no store, no worker.

Operators run by the very functions that the worker uses, one after the other. Tables are complete before
the first record is joined, so a partner that is missing will not come: a `Wait` is over at once. Agents
are not run, since they may do anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from larder.declaring.checks.declarations import problems
from larder.declaring.dead_letters import cause_of, dead_letter
from larder.declaring.facts import dead_letters_name
from larder.declaring.in_memory.records import Given, MemoryRecord, Topic, TopicRecords, records
from larder.declaring.in_memory.table import MemoryTable
from larder.declaring.operators import Operator
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic


def run_in_memory(
    service: Service, given: Mapping[str | Topic, Sequence[Given]], *, until: datetime | None = None
) -> TopicRecords:
    """Run the operators of a service over lists of records and give what they publish; agents are left out.

    `given` has, for each topic (or its name), its records in order: rows, or pairs of
    (key, row). A key is a value of the topic's key type; a row may also be raw JSON
    bytes, or None for a deletion. A topic that is not given is empty.

    Records lie in the partitions of their keys, as declared: a join finds rows of co-partitioned
    tables, and a decide reads and changes rows, only in the partition of the record.

    A decide takes the events of one topic after those of another, in the order in which
    they are given, then what it has emitted to itself. Wake-ups that are due at `until`
    come last; without it none comes.

    A reaction gets each change that the records of its table make, one after the other.

    The result has a list for each topic that the service publishes into, by the topic or
    its name, and for `<service>.dead-letters`, which also gets rows that tables could not take. Each
    record has `.row` (typed), `.key` and `.value` (bytes) and `.headers`.

    DeclarationError for declarations that have problems, for a topic that the service
    does not read, for what is no row of its topic, and for operators that feed one another in a circle.

    >>> ada = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    >>> result = run_in_memory(fulfilment, {shop.customers: [ada], shop.orders: orders})
    >>> [fulfilled.row.customer.name for fulfilled in result["shop.fulfilments"]]
    ['Ada']
    """
    found = problems([service])
    if found:
        raise DeclarationError(found)
    run = MemoryRun(service, given, until)
    for operator in _in_order(service):
        operator.run_in_memory(run)
    return run.produced


class MemoryRun:
    """The records of one run: what was given, what tables hold, what came out; wake-ups come `until` a time."""

    def __init__(
        self, service: Service, given: Mapping[str | Topic, Sequence[Given]], until: datetime | None = None
    ) -> None:
        """Begin with nothing published."""
        self.service = service
        self.until = until
        self._letters = dead_letters_name(service.name)
        self.produced = TopicRecords({topic.name: [] for topic in service.written})
        for operator in service.operators:
            self.produced |= {kept.name: [] for kept in operator.keeps(service.name) if kept.like is None}
        self.produced[self._letters] = []
        self.given = records(service, given)
        self._tables: dict[str, MemoryTable] = {}

    def table(self, topic: OwnerTopic) -> MemoryTable:
        """Give the rows of a topic, as they are by now."""
        if topic.name not in self._tables:
            table = self._tables[topic.name] = MemoryTable(topic)
            for record in self.log(topic.name):
                try:
                    table.apply(record.key, record.value)
                except (ValueError, RecursionError) as error:
                    self.park(topic.name, record, cause_of(error))
        return self._tables[topic.name]

    def log(self, topic: str) -> Sequence[MemoryRecord]:
        """Give the records of a topic by now: those that were given, and those that were published."""
        return self.given.get(topic, []) + self.produced.get(topic, [])

    def publish(self, into: Topic, result: tuple[bytes, bytes | None]) -> None:
        """Add a record of that key and value."""
        log = self.produced[into.name]
        offset = len(self.given.get(into.name, [])) + len(log)
        log.append(MemoryRecord(*result, offset, row_type=into.row))

    def park(self, topic: str, record: MemoryRecord, cause: str) -> None:
        """Add a dead letter."""
        letters = self.produced[self._letters]
        letter = dead_letter(self.service.name, topic, 0, record, cause)
        letters.append(MemoryRecord(letter.key, letter.value, len(letters), tuple(letter.headers)))


def _in_order(service: Service) -> Iterator[Operator]:
    """Give operators so that each comes after those whose results it reads."""
    operators = dict(enumerate(service.operators))
    writers: dict[str, set[int]] = {}
    for number, operator in operators.items():
        for topic in operator.writes():
            writers.setdefault(topic.name, set()).add(number)
    reads = {
        number: set[int]().union(*(writers.get(name, ()) for name in _read(service, operator)))
        for number, operator in operators.items()
    }
    for number, operator in operators.items():
        if operator.goes_on_with_its_own:
            reads[number].discard(number)
    try:
        for number in TopologicalSorter(reads).static_order():
            yield operators[number]
    except CycleError as error:
        problem = Problem(
            f"service {service.name}",
            "a run in memory requires joins and decides that do not feed themselves",
            "a circle of " + ", ".join(operators[number].name for number in error.args[1]),
            "run them one by one",
        )
        raise DeclarationError([problem]) from None


def _read(service: Service, operator: Operator) -> Iterator[str]:
    yield from (events_of(source).name for source in operator.reads())
    yield from (table.name for table in (service.tables if operator.reads_near else operator.uses()))
