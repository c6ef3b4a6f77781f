"""Runs a service over lists of records: one operator after another, each over all of its records.

A decide and the requests of its state are as one operator, since each sees the rows of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from math import inf

from larder.declaring.decides import Decide
from larder.declaring.operators import Operator, Topic
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.requests import Request
from larder.declaring.service import Service
from larder.declaring.sources import events_of
from larder.testing.given import Given, listed, requests_listed, topic_read
from larder.testing.records import MemoryRecord, TopicRecords
from larder.testing.requests import listed_as
from larder.testing.run import MemoryRun


def run_in_memory(
    service: Service, given: Mapping[str | Topic, Sequence[Given]], *, until: datetime | None = None
) -> TopicRecords:
    """Run the operators of a service over lists of records and return what they publish; agents do not run.

    `given` has the records of each topic (or topic name) in order: rows, or pairs of
    (key, row). A key is a value of the topic's key type; a row may also be raw JSON
    bytes, or None for a deletion. A topic that is not given is empty.

    Tables are complete before the first record is joined, so a missing partner will not
    arrive: a `Wait` ends at once. A `Driver` takes records one by one instead.

    Records are in the partitions of their keys, as declared: a join finds rows of co-partitioned
    tables, and a decide reads and changes rows, only in the partition of the record.

    A decide processes the events of one topic after those of another, in the order in which
    the topics are given, then the events that it has emitted to itself. Wake-ups that are due
    at `until` fire last; without `until` none fire.

    Requests are given by the address that the service declares: rows, which also have the
    fields of the path, or pairs of an `Idempotency-Key` and a row or JSON bytes. A decide and
    the requests of its state take turns in the order in which topics and addresses are given.
    All requests come at the same time, so that none that has counted is forgotten.

    A reaction gets each change that the records of its table make, one by one.

    The result has a list of records for each topic that the service publishes into, by the topic
    or its name, and for `<service>.dead-letters`, which also has the records that tables reject.
    Each record has `.row` (typed), `.key` and `.value` (bytes) and `.headers`. Its `.answers` has
    a list of answers for each address.

    Raise DeclarationError if declarations have problems, if the service does not read a topic,
    if a value is not a row of its topic, or if operators feed one another in a circle.

    >>> ada = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    >>> result = run_in_memory(fulfilment, {shop.customers: [ada], shop.orders: orders})
    >>> [fulfilled.row.customer.name for fulfilled in result["shop.fulfilments"]]
    ['Ada']
    """
    names = [topic if isinstance(topic, str) else topic.name for topic in given]
    run = MemoryRun(service, -inf if until is None else until.timestamp(), complete=True, first=names)
    records = {name: _given(service, name, rows) for name, rows in zip(names, given.values(), strict=True)}
    for name, each in records.items():
        for record in each:
            run.append(name, record)
    for operators in _in_order(service, names):
        run.settle(*operators)
    return run.produced


def _given(service: Service, name: str, given: Sequence[Given]) -> list[MemoryRecord]:
    requests = [listed_as(each) for each in service.requests]
    topic = topic_read(service, name, requests)
    return requests_listed(topic, given) if topic in requests else listed(topic, given)


def _in_order(service: Service, given: Collection[str]) -> Iterator[Sequence[Operator]]:
    """Yield operators so that each comes after those whose results it reads; some together."""
    groups = dict(enumerate(_together(service, given)))
    writers: dict[str, set[int]] = {}
    for number, group in groups.items():
        for topic in (topic for operator in group for topic in operator.writes()):
            writers.setdefault(topic.name, set()).add(number)
    reads = {
        number: {writer for operator in group for name in _read(service, operator) for writer in writers.get(name, ())}
        for number, group in groups.items()
    }
    for number, group in groups.items():
        if all(operator.goes_on_with_its_own for operator in group):
            reads[number].discard(number)
    try:
        for number in TopologicalSorter(reads).static_order():
            yield groups[number]
    except CycleError as error:
        problem = Problem(
            f"service {service.name}",
            "a run in memory requires joins and decides that do not feed themselves",
            "a circle of " + ", ".join(operator.name for number in error.args[1] for operator in groups[number]),
            "run them one by one",
        )
        raise DeclarationError([problem]) from None


def _together(service: Service, given: Collection[str]) -> Collection[Sequence[Operator]]:
    """Return the operators in groups: the decide and the requests of a state, or one of any other kind.

    Requests at an address that is not given never come.
    """
    groups: dict[object, list[Operator]] = {}
    for operator in service.operators:
        if not isinstance(operator, Request) or operator.address in given:
            group = operator.state.name if isinstance(operator, Decide) else operator
            groups.setdefault(group, []).append(operator)
    return groups.values()


def _read(service: Service, operator: Operator) -> Iterator[str]:
    yield from (events_of(source).name for source in operator.reads())
    yield from (table.name for table in (service.tables if operator.reads_near else operator.uses()))
