"""Running a service over lists of records: no broker, no store, no worker.

Joins and decides are the very functions that the worker uses. Tables are complete before
the first order is joined, so a partner that is missing will not come: a `Wait` is over at
once. Reactions are not run, nor agents, since they may do anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from larder.declaring.checks.declarations import problems
from larder.declaring.compiled.joins import CompiledJoin, compile_join, compile_rekey
from larder.declaring.dead_letters import cause_of, dead_letter
from larder.declaring.decides import Decide
from larder.declaring.facts import dead_letters_name
from larder.declaring.in_memory.decides import MemoryDecide
from larder.declaring.in_memory.placement import check_record_place
from larder.declaring.in_memory.records import Given, MemoryRecord, Topic, TopicRecords, records
from larder.declaring.in_memory.table import MemoryTable
from larder.declaring.joins import Join
from larder.declaring.missing import DeadLetter, Drop
from larder.declaring.partition_counts import partitions
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.sources import Source, events_of
from larder.declaring.topics import OwnerTopic, Rekeyed


def run_in_memory(
    service: Service, given: Mapping[str | Topic, Sequence[Given]], *, until: datetime | None = None
) -> TopicRecords:
    """Run the joins and decides of a service over lists of records and give what they publish.

    `given` has, for each topic (or its name), its records in order: rows, or pairs of
    (key, row). A key is a value of the topic's key type; a row may also be raw JSON
    bytes, or None for a deletion. A topic that is not given is empty.

    Records lie in the partitions of their keys, as declared: a join finds rows of co-partitioned
    tables, and a decide reads and changes rows, only in the partition of the record.

    A decide takes the events of one topic after those of another, in the order in which
    they are given, then what it has emitted to itself. Wake-ups that are due at `until`
    come last; without it none comes.

    The result has a list for each topic that the service publishes into, by the topic or
    its name, and for `<service>.dead-letters`, which also gets rows that tables could not take. Each
    record has `.row` (typed), `.key` and `.value` (bytes) and `.headers`.

    DeclarationError for declarations that have problems, for a topic that the service
    does not read, for what is no row of its topic, and for joins and decides that feed one another in a circle.

    >>> ada = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    >>> result = run_in_memory(fulfilment, {shop.customers: [ada], shop.orders: orders})
    >>> [fulfilled.row.customer.name for fulfilled in result["shop.fulfilments"]]
    ['Ada']
    """
    found = problems([service])
    if found:
        raise DeclarationError(found)
    run = _Run(service, given)
    for step in _in_order(service):
        if isinstance(step, Join):
            run.join(step)
        else:
            run.decide(step, until)
    return run.produced


class _Run:
    """The records of one run: what was given, what tables hold, what came out."""

    def __init__(self, service: Service, given: Mapping[str | Topic, Sequence[Given]]) -> None:
        self._service = service
        self._letters = dead_letters_name(service.name)
        self.produced = TopicRecords({topic.name: [] for topic in service.written})
        if any(not decide.folds for decide in service.decides):
            self.produced[service.refusals.name] = []
        self.produced[self._letters] = []
        self._given = records(service, given)
        self._tables: dict[str, MemoryTable] = {}

    def join(self, join: Join) -> None:
        """Join every record of a source, in order."""
        tables = [self._table(lookup.table.topic) for lookup in join.lookups]
        counts = [partitions(self._service, lookup.table.topic, {}) for lookup in join.lookups]
        compiled = compile_join(join)
        partition_key = _partition_key(join.source)
        source = events_of(join.source)
        for record in self._log(source.name):
            result: tuple[bytes, bytes | None] | None = None
            try:
                if record.value is not None or not join.of_rows:
                    left_out = partition_key is not None and partition_key(record.value) is None
                    result = None if left_out else self._result(compiled, tables, counts, record)
            except ValueError as error:
                self._park(source.name, record, cause_of(error))
            if result is None and join.of_rows and record.key is not None:
                result = (record.key, None)
            self._publish(join.into, result)

    def decide(self, decide: Decide, until: datetime | None) -> None:
        """Decide on every event of its inputs, in order, and on what it emits to itself."""
        deciding = MemoryDecide(self._service, decide, self._table, self._publish)
        given = list(self._given)
        names = sorted(
            (events_of(source).name for source in decide.inputs),
            key=lambda name: given.index(name) if name in given else len(given),
        )
        done = dict.fromkeys(names, 0)
        self._decide_on(decide, deciding, done)
        while (woken := deciding.due(until)) is not None:
            deciding.wake(woken)
            self._decide_on(decide, deciding, done)

    def _decide_on(self, decide: Decide, deciding: MemoryDecide, done: dict[str, int]) -> None:
        """Decide on the events that are not done, those included that come of them."""
        numbers = {events_of(source).name: number for number, source in enumerate(decide.inputs)}
        partition_keys = [_partition_key(source) for source in decide.inputs]
        while (name := next((name for name in done if done[name] < len(self._log(name))), None)) is not None:
            record = self._log(name)[done[name]]
            done[name] += 1
            try:
                partition_key = partition_keys[numbers[name]]
                if partition_key is None or partition_key(record.value) is not None:
                    deciding.event(numbers[name], name, record)
            except ValueError as error:
                self._park(name, record, cause_of(error))

    def _result(
        self, compiled: CompiledJoin, tables: Sequence[MemoryTable], counts: Sequence[int], record: MemoryRecord
    ) -> tuple[bytes, bytes] | None:
        references = compiled.references(record.value)
        for lookup, key, count in zip(compiled.join.lookups, references, counts, strict=True):
            check_record_place(compiled.join.source, record, lookup, key, count)
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

    def _publish(self, into: Topic, result: tuple[bytes, bytes | None] | None) -> None:
        if result is not None:
            log = self.produced[into.name]
            offset = len(self._given.get(into.name, [])) + len(log)
            log.append(MemoryRecord(*result, offset, row_type=into.row))

    def _park(self, topic: str, record: MemoryRecord, cause: str) -> None:
        letters = self.produced[self._letters]
        letter = dead_letter(self._service.name, topic, 0, record, cause)
        letters.append(MemoryRecord(letter.key, letter.value, len(letters), tuple(letter.headers)))


def _partition_key(source: Source) -> Callable[[bytes | None], bytes | None] | None:
    """Build what gives the key that `.by` goes by, and None for a record that it leaves out."""
    return compile_rekey(source) if isinstance(source, Rekeyed) else None


def _in_order(service: Service) -> Iterator[Join | Decide]:
    """Give joins and decides so that each comes after those whose results it reads; a decide may read its own."""
    declared: list[Join | Decide] = [*service.joins, *service.decides]
    steps = {step.name: step for step in declared}
    writers = {topic.name: step.name for step in declared for topic in _written(step)}
    reads = {step.name: {writers[name] for name in _read(service, step) if name in writers} for step in declared}
    for decide in service.decides:
        reads[decide.name].discard(decide.name)
    try:
        for name in TopologicalSorter(reads).static_order():
            yield steps[name]
    except CycleError as error:
        problem = Problem(
            f"service {service.name}",
            "a run in memory requires joins and decides that do not feed themselves",
            "a circle of " + ", ".join(error.args[1]),
            "run them one by one",
        )
        raise DeclarationError([problem]) from None


def _written(step: Join | Decide) -> Sequence[Topic]:
    return (step.into,) if isinstance(step, Join) else (step.state.topic, *step.into)


def _read(service: Service, step: Join | Decide) -> Iterator[str]:
    if isinstance(step, Join):
        yield events_of(step.source).name
        yield from (lookup.table.name for lookup in step.lookups)
        return
    yield from (events_of(source).name for source in step.inputs)
    if step.reads_near:
        yield from (table.name for table in service.tables)
