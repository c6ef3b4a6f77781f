"""What the parts of a workload have in common: each has declarations, topics, a load, and a judge."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.history import History, Seen, Violation
from tests.faults.plan import Plan
from tests.faults.versions import Versions
from tests.faults.writing import Writer

GENERATION = re.compile(r"\.g\d+")
"""The generation in the name of an internal topic."""


class Case:
    """The evidence to judge: a plan, a history, and the committed records."""

    def __init__(self, plan: Plan, prefix: str, history: History, seen: Sequence[Seen]) -> None:
        self.plan = plan
        self.prefix = prefix
        self.history = history
        self.seen = seen
        self._by_topic: dict[str, list[Seen]] = defaultdict(list)
        for record in seen:
            self._by_topic[record.topic].append(record)
        self.generation = generation_of(self._by_topic.get(f"{prefix}.growth", ()))
        self.scaled = any(fault.name == "scale" for fault in plan.faults)
        self.mirrored = bool(plan.own) or self.scaled

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def of(self, topic: str) -> Sequence[Seen]:
        """Return the records of a topic (named without the prefix) by partition and offset."""
        return self._by_topic.get(self.name(topic), [])

    def current(self, topic: str) -> Sequence[Seen]:
        """Return the records of an internal topic in the current generation of the service."""
        return self.of(topic if self.generation == 1 else f"{topic}.g{self.generation}")

    def versions(self, table: str) -> Versions:
        """Return the versions of a followed table, where workers read it: in its topic or in its mirror.

        Workers of a service that is scaled read it in several places, one after the other.
        """
        if self.scaled:
            return Versions(self.name(table), self.history.written, self.of(table))
        mirror = self.of(f"{self.prefix}.{table}.mirror")
        return Versions(self.name(table), self.history.written, self.of(table), mirror)

    def letters(self, source: str) -> Sequence[Seen]:
        """Return the dead letters of a topic in all generations, without those that were replayed."""
        records, name = self.of("dead-letters"), self.name(source)
        settled = {_letter(each) for each in records if "larder.settled" in each.headers}
        found = [each for each in records if GENERATION.sub("", each.headers.get("larder.topic", "")) == name]
        return [each for each in found if _letter(each) not in settled]


def generation_of(records: Iterable[Seen]) -> int:
    """Return the number of the service's generation, from the records of its growth."""
    return max((each.value["number"] for each in records if each.value and "number" in each.value), default=1)


def _letter(record: Seen) -> tuple[str, str, str]:
    """Return what a letter and the record that settles it have in common."""
    return record.key, record.headers.get("larder.step", ""), record.headers.get("larder.attempt", "0")


@dataclass
class Load:
    """The work of a part while workers run: `begin` once, `step` repeatedly, `end` once."""

    begin: Callable[[], Awaitable[None]]
    step: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """One part of the workload. Topics are named without the prefix.

    text     declarations for the workers' module, after those of `HEAD`.
    followed compacted topics that the suite writes on behalf of their owners.
    owned    compacted topics of the service.
    events   topics that the suite writes.
    results  topics that the service writes soon after its start.
    inputs   topics that the group reads.
    hops     internal topics of the service whose records the judge dates by the broker's time.
    asked    keys to ask workers for, by table.
    load     creates the load.
    judge    yields the violations.
    figures  yields what is counted, for the line of the seed.
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
    figures: Callable[[Case], Iterable[str]] = lambda _: ()


HEAD = """
import os
from datetime import UTC, datetime

from larder import DeadLetter, Decision, Drop, PassOn, Service, Wait, Wake
from larder.types import WakeUp
from larder import EventTopic, OwnerTopic, Row

service = Service("{prefix}", partitions={own})

# A version with an additional required field in its states cannot read the rows of the other, but not vice versa.
CHANGED = "CHANGED_TYPE" in os.environ
ADDED = {"added": "since"} if CHANGED else {}
"""


def module(parts: Iterable[Part], plan: Plan, prefix: str, provider: str) -> str:
    """Return the text of the module that the workers run; `provider` is the address for their charges."""
    text = "\n".join([HEAD, *(part.text(plan) for part in parts)])
    return text.replace("{prefix}", prefix).replace("{own}", str(plan.own or None)).replace("{provider}", provider)
