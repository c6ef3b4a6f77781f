"""What the parts of a workload have in common: each brings its declarations, its topics, its load, and its judge."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.history import History, Seen, Violation
from tests.faults.plan import Plan
from tests.faults.writing import Writer


class Case:
    """What there is to be judged: a plan, what was done, and what a reader of committed records has seen."""

    def __init__(self, plan: Plan, prefix: str, history: History, seen: Sequence[Seen]) -> None:
        self.plan = plan
        self.prefix = prefix
        self.history = history
        self.seen = seen
        self._by_topic: dict[str, list[Seen]] = defaultdict(list)
        for record in seen:
            self._by_topic[record.topic].append(record)

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def of(self, topic: str) -> Sequence[Seen]:
        """The records of a topic by partition and offset, given by what follows the prefix."""
        return self._by_topic.get(self.name(topic), [])

    def letters(self, source: str) -> Sequence[Seen]:
        """The dead letters of a topic, without those that were replayed."""
        records, name = self.of("dead-letters"), self.name(source)
        settled = {_letter(each) for each in records if "larder.settled" in each.headers}
        return [each for each in records if each.headers.get("larder.topic") == name and _letter(each) not in settled]


def _letter(record: Seen) -> tuple[str, str, str]:
    """What a letter and the record that settles it have in common."""
    return record.key, record.headers.get("larder.step", ""), record.headers.get("larder.attempt", "0")


@dataclass
class Load:
    """What a part does while workers run: `begin` once, `step` again and again, `end` once."""

    begin: Callable[[], Awaitable[None]]
    step: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """One part of the workload; topics are given by what follows the prefix.

    text     declarations for the workers' module, after those of `HEAD`.
    followed compacted topics that the suite writes in the place of their owners.
    owned    compacted topics of the service.
    events   topics that the suite writes.
    results  topics that the service writes and that get something soon.
    inputs   what the group reads.
    hops     internal topics of the service whose records the judge dates by the broker's time.
    asked    keys that workers are asked for, by table.
    load     what is done.
    judge    what is wrong.
    """

    text: Callable[[Plan], str]
    load: Callable[[Writer, Plan, str, random.Random], Load]
    judge: Callable[[Case], Iterable[Violation]]
    events: Sequence[str]
    results: Sequence[str]
    inputs: Sequence[str]
    followed: Sequence[str] = ()
    owned: Sequence[str] = ()
    hops: Sequence[str] = ()
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)


HEAD = """
import os
from datetime import UTC, datetime

from larder import DeadLetter, Decision, Drop, PassOn, Service, Wait, Wake
from larder.types import WakeUp
from larder import EventTopic, OwnerTopic, Row

service = Service("{prefix}")

# A version whose states have a required field more cannot read the rows of the other one, which can read its rows.
CHANGED = "CHANGED_TYPE" in os.environ
ADDED = {"added": "since"} if CHANGED else {}
"""


def module(parts: Iterable[Part], plan: Plan, prefix: str) -> str:
    """The text of the module that workers are given."""
    return "\n".join([HEAD, *(part.text(plan) for part in parts)]).replace("{prefix}", prefix)
