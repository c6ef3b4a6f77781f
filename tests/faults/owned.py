"""What every owned table owes: for each key an unbroken chain of revisions, by one owner after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.faults.answers import answer_violations
from tests.faults.history import NEVER, Seen, Violation, Written
from tests.faults.joins import CLOCK_SECONDS
from tests.faults.parts import Case
from tests.faults.versions import Versions, revision_of


def owned_violations(case: Case, topic: str) -> Iterator[Violation]:
    """The chain, the generations, and what workers answer about the rows."""
    records = case.of(topic)
    yield from chain_violations(records)
    yield from generation_violations(records)
    yield from answer_violations(case.history, case.name(topic), versions_of(case.name(topic), records))


def versions_of(topic: str, records: Sequence[Seen]) -> Versions:
    """The rows of an owned topic: there when they were appended at the earliest, when they were read at the latest."""
    written = [
        Written(
            topic,
            record.key,
            record.value,
            revision_of(record),
            record.appended - CLOCK_SECONDS,
            record.read,
            record.partition,
            record.offset,
        )
        for record in records
        if record.read != NEVER
    ]
    return Versions(topic, written, records)


def chain_violations(records: Sequence[Seen]) -> Iterator[Violation]:
    """Each row names the revision that it was based on: that of the row before it in the log; and is above it."""
    known: dict[str, tuple[int, int]] = {}
    for record in records:
        based_on = record.headers.get("larder.based-on")
        before, revision = known.get(record.key), revision_of(record)
        if revision < 0 and before is not None:
            revision = before[0]  # of a row that is deleted without anybody having given it another revision
        told = f"{record.topic}/{record.partition}/{record.offset}: revision {revision} of {record.key}"
        if before is not None and before[1] != record.partition:
            yield Violation("misplaced", f"{told} is in another partition than {before[0]}")
        if (None if based_on is None else int(based_on)) != (before and before[0]):
            yield Violation("chain", f"{told} is based on {based_on}; before it lies {before and before[0]}")
        if before is not None and revision <= before[0] and revision_of(record) >= 0:
            yield Violation("falling", f"{told} comes after {before[0]}")
        known[record.key] = (revision, record.partition)


def generation_violations(records: Sequence[Seen]) -> Iterator[Violation]:
    """In each partition the generation of the writer never falls: who was left behind writes nothing."""
    newest: dict[int, int] = {}
    for record in records:
        generation = int(record.headers["larder.generation"])
        if generation < newest.get(record.partition, -1):
            where = f"{record.topic}/{record.partition}/{record.offset}"
            yield Violation("generation", f"{where} is of generation {generation}, after {newest[record.partition]}")
        newest[record.partition] = max(generation, newest.get(record.partition, -1))
