"""The history of one seed, as observed from outside: writes, records, answers, and starts of workers. Values only.

All times are in seconds since 1970: broker, workers and suite share one clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEVER = float("inf")


class Written(NamedTuple):
    """A record that was sent to the broker. Without acknowledgement (`acked` NEVER) it may or may not be in the log."""

    topic: str
    key: str
    value: dict[str, Any] | None
    revision: int | None
    sent: float
    acked: float = NEVER
    partition: int = -1
    offset: int = -1


class Seen(NamedTuple):
    """A committed record. `appended` is the broker's time, if the topic uses that; `read` is when the suite read it."""

    topic: str
    partition: int
    offset: int
    key: str
    value: dict[str, Any] | None
    appended: float
    headers: Mapping[str, str]
    read: float = NEVER


class Answer(NamedTuple):
    """The answer of a worker about a row."""

    worker: str
    table: str
    key: str
    asked: float
    answered: float
    status: int
    body: Mapping[str, Any]


class Posted(NamedTuple):
    """One try of a request that changes a row: its number, its key, and the answer; status 0 if there was none."""

    worker: str
    path: str
    serial: int
    once: str
    body: Mapping[str, Any]
    asked: float
    answered: float
    status: int
    answer: Mapping[str, Any]


class Charge(NamedTuple):
    """A request at the provider of the charges: its key, its attempt, and the status of the answer.

    `sent` is when the worker sent it, `answered` when the provider answers.
    """

    key: str
    attempt: int
    sent: float
    answered: float
    status: int


class Money(NamedTuple):
    """A request at the provider about the money of an order: its charge, or that it is to be voided.

    `took` is what it changed of the money that the provider keeps for the order. Times as for `Charge`.
    """

    key: str
    void: bool
    attempt: int
    took: int
    sent: float
    answered: float
    status: int


class Era(NamedTuple):
    """From `since` on, a process has to measure its tables again: it started, or was paused for long."""

    process: int
    since: float
    worker: str


class Violation(NamedTuple):
    """A broken promise: its kind in one word, and what was observed."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass
class History:
    """The growing history of one seed. `held_up` has the intervals in which the broker's answers were late."""

    written: list[Written] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)
    eras: list[Era] = field(default_factory=list)
    held_up: list[tuple[float, float]] = field(default_factory=list)
    happened: list[tuple[float, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Note a fault, its end or the start of a worker, for people who read the history."""
        self.happened.append((time.time(), what))

    def slowed(self, answer: Answer, memory: float) -> float:
        """Return the longest delay of data on its way to a worker, from `memory` seconds before the answer on."""
        windows = [
            (begin, end) for begin, end in self.held_up if begin <= answer.answered and end >= answer.asked - memory
        ]
        return max((end - begin for begin, end in windows), default=0.0)

    def begun(self, process: int, since: float, worker: str) -> None:
        self.eras.append(Era(process, since, worker))
        self.note(f"worker {worker}: process {process} measures its tables again")


def measured_since(eras: Sequence[Era], at: float, process: int | None = None) -> float:
    """Return the time at which the process that wrote at `at` last had to measure its tables again, or an earlier one.

    The process is unknown, so take the oldest of their eras; 0 if none is known.
    """
    latest: dict[str | int, float] = {}
    for era in eras:
        if era.since <= at:
            who = era.worker if process is None else era.process
            latest[who] = max(latest.get(who, 0.0), era.since)
    return latest.get(process, 0.0) if process is not None else min(latest.values(), default=0.0)
