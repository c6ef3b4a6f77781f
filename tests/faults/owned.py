"""Judges every owned table: each key has an unbroken chain of revisions, by one owner after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.faults.answers import answer_violations
from tests.faults.history import NEVER, Seen, Violation, Written
from tests.faults.joins import CLOCK_SECONDS
from tests.faults.parts import Case
from tests.faults.versions import Versions, revision_of


def owned_violations(case: Case, topic: str) -> Iterator[Violation]:
    """Yield violations of the chain, the generations, and the workers' answers about the rows."""
    records = case.of(topic)
    yield from chain_violations(records)
    yield from generation_violations(records)
    rows = () if case.scaled else case.of(f"{case.prefix}.{topic}.rows")
    versions = versions_of(case.name(topic), records, rows)
    yield from answer_violations(case.history, case.name(topic), versions, placed=not case.scaled)


def versions_of(topic: str, records: Sequence[Seen], rows: Sequence[Seen] = ()) -> Versions:
    """Return the rows of an owned topic. Each came into the log between `appended` and `read`.

    `rows` are the records of the internal topic from which workers read them, if there is one.
    """
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
    return Versions(topic, written, records, rows)


def chain_violations(records: Sequence[Seen]) -> Iterator[Violation]:
    """Each row names the revision that it is based on, which is that of the previous row in the log, and exceeds it."""
    known: dict[str, tuple[int, int]] = {}
    for record in records:
        based_on = record.headers.get("larder.based-on")
        before, revision = known.get(record.key), revision_of(record)
        if revision < 0 and before is not None:
            revision = before[0]  # of a row that is deleted without a new revision
        what = f"{record.topic}/{record.partition}/{record.offset}: revision {revision} of {record.key}"
        if before is not None and before[1] != record.partition:
            yield Violation("misplaced", f"{what} is in another partition than {before[0]}")
        if (None if based_on is None else int(based_on)) != (before and before[0]):
            yield Violation("chain", f"{what} is based on {based_on}; the previous row is {before and before[0]}")
        if before is not None and revision <= before[0] and revision_of(record) >= 0:
            yield Violation("falling", f"{what} comes after {before[0]}")
        known[record.key] = (revision, record.partition)


def generation_violations(records: Sequence[Seen]) -> Iterator[Violation]:
    """In each partition the generation of the writer never decreases: a fenced worker writes nothing."""
    newest: dict[int, int] = {}
    for record in records:
        generation = int(record.headers["larder.generation"])
        if generation < newest.get(record.partition, -1):
            where = f"{record.topic}/{record.partition}/{record.offset}"
            yield Violation("generation", f"{where} is of generation {generation}, after {newest[record.partition]}")
        newest[record.partition] = max(generation, newest.get(record.partition, -1))
