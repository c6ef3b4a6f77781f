"""Running a service over lists of records: no broker, no store, no worker.

The joins are the very functions that the worker uses. Tables are complete before the
first order is joined, so a partner that is missing will not come: a `Wait` is over at
once. Agents are not run, since they may do anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from agents.declaring.checks import problems
from agents.declaring.compiled import CompiledJoin, compile_join, compile_rekey
from agents.declaring.dead_letters import cause_of, dead_letter
from agents.declaring.facts import dead_letters_name
from agents.declaring.joins import Join, events_of
from agents.declaring.memory_records import Given, Log, MemoryRecord, Topic, records
from agents.declaring.memory_table import MemoryTable
from agents.declaring.missing import DeadLetter, Drop
from agents.declaring.service import Service
from tables.declaring.problems import DeclarationError, Problem
from tables.declaring.topics import OwnerTopic, Rekeyed


def run_in_memory(service: Service, given: Mapping[str | Topic, Sequence[Given]]) -> dict[str, list[MemoryRecord]]:
    """Run the joins of a service over lists of records and give what they publish.

    `given` has, for each topic (or its name), its records in order: rows, or pairs of
    (key, row). A key is a value of the topic's key type; a row may also be raw JSON
    bytes, or None for a deletion. A topic that is not given is empty.

    The result has a list for each topic that the service publishes into, and for
    `<service>.dead-letters`, which also gets rows that tables could not take. Each
    record has `.row` (typed), `.key` and `.value` (bytes) and `.headers`.

    DeclarationError for declarations that have problems, for a topic that the service
    does not read, and for joins that feed one another in a circle.

    >>> ada = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    >>> result = run_in_memory(fulfilment, {shop.customers: [ada], shop.orders: orders})
    >>> [fulfilled.row.customer.name for fulfilled in result["shop.fulfilments"]]
    ['Ada']
    """
    found = problems([service])
    if found:
        raise DeclarationError(found)
    run = _Run(service, given)
    for join in _in_order(service):
        run.join(join)
    return run.produced


class _Run:
    """The records of one run: what was given, what tables hold, what came out."""

    def __init__(self, service: Service, given: Mapping[str | Topic, Sequence[Given]]) -> None:
        self._service = service.name
        self._letters = dead_letters_name(service.name)
        self.produced: Log = {join.into.name: [] for join in service.joins}
        self.produced[self._letters] = []
        self._given = records(service, given)
        self._tables: dict[str, MemoryTable] = {}

    def join(self, join: Join) -> None:
        """Join every record of a source, in order."""
        tables = [self._table(lookup.table.topic) for lookup in join.lookups]
        compiled = compile_join(join)
        partition_key = compile_rekey(join.source) if isinstance(join.source, Rekeyed) else None
        source = events_of(join.source)
        for record in self._log(source.name):
            try:
                if partition_key is not None:
                    partition_key(record.value)
                result = self._result(compiled, tables, record)
            except ValueError as error:
                self._park(source.name, record, cause_of(error))
            else:
                self._publish(join.into, result)

    def _result(
        self, compiled: CompiledJoin, tables: Sequence[MemoryTable], record: MemoryRecord
    ) -> tuple[bytes, bytes] | None:
        references = compiled.references(record.value)
        rows = [table.get(key) for table, key in zip(tables, references, strict=True)]
        if None in rows:
            step = compiled.join.settle
            if step is DeadLetter:
                raise ValueError(compiled.why_missing(references, rows))
            if step is Drop:
                return None
        return compiled.output(record.key, record.value or b"", rows)

    def _table(self, topic: OwnerTopic) -> MemoryTable:
        if topic.name not in self._tables:
            table = self._tables[topic.name] = MemoryTable(topic)
            for record in self._log(topic.name):
                try:
                    table.apply(record.key, record.value)
                except (ValueError, RecursionError) as error:
                    self._park(topic.name, record, cause_of(error))
        return self._tables[topic.name]

    def _log(self, topic: str) -> Sequence[MemoryRecord]:
        return self._given.get(topic, []) + self.produced.get(topic, [])

    def _publish(self, into: Topic, result: tuple[bytes, bytes] | None) -> None:
        if result is not None:
            log = self.produced[into.name]
            offset = len(self._given.get(into.name, [])) + len(log)
            log.append(MemoryRecord(*result, offset, row_type=into.row))

    def _park(self, topic: str, record: MemoryRecord, cause: str) -> None:
        letters = self.produced[self._letters]
        letter = dead_letter(self._service, topic, 0, record, cause)
        letters.append(MemoryRecord(letter.key, letter.value, len(letters), tuple(letter.headers)))


def _in_order(service: Service) -> Iterator[Join]:
    """Give the joins so that each comes after those whose results it reads."""
    joins = {join.name: join for join in service.joins}
    reads = {
        join.name: {
            name
            for name in (events_of(join.source).name, *(lookup.table.name for lookup in join.lookups))
            if name in joins
        }
        for join in service.joins
    }
    try:
        for name in TopologicalSorter(reads).static_order():
            yield joins[name]
    except CycleError as error:
        problem = Problem(
            f"service {service.name}",
            "a run in memory requires joins that do not feed themselves",
            "a circle of " + ", ".join(error.args[1]),
            "run them one by one",
        )
        raise DeclarationError([problem]) from None
