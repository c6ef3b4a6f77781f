"""What happened in one seed, as seen from outside: what was written, answered, begun and done. Values only.

All times are seconds since 1970: broker, workers and suite share one clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEVER = float("inf")


class Written(NamedTuple):
    """A record that was given to the broker; without acknowledgement (`acked` NEVER) it may be in the log or not."""

    topic: str
    key: str
    value: dict[str, Any] | None
    revision: int | None
    sent: float
    acked: float = NEVER
    partition: int = -1
    offset: int = -1


class Seen(NamedTuple):
    """A committed record, as any reader sees it; `appended` is the broker's time where the topic has that.

    `read` is when the suite had it.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: dict[str, Any] | None
    appended: float
    headers: Mapping[str, str]
    read: float = NEVER


class Answer(NamedTuple):
    """What a worker said when it was asked for a row."""

    worker: str
    table: str
    key: str
    asked: float
    answered: float
    status: int
    body: Mapping[str, Any]


class Era(NamedTuple):
    """From `since` on a process measures its tables anew before it uses them: it began, or slept for long."""

    process: int
    since: float
    worker: str


class Violation(NamedTuple):
    """A promise that was broken: which (one word), and what was seen."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass
class History:
    """One seed's, as it grows. `held_up` has the times in which what the broker said was late, from and to."""

    written: list[Written] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    eras: list[Era] = field(default_factory=list)
    held_up: list[tuple[float, float]] = field(default_factory=list)
    happened: list[tuple[float, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def note(self, what: str) -> None:
        """A fault, its end, a worker's start: for whoever reads the history."""
        self.happened.append((time.time(), what))

    def slowed(self, answer: Answer, memory: float) -> float:
        """For how long what a worker knew `memory` seconds before an answer may have been on its way to it."""
        windows = [
            (begin, end) for begin, end in self.held_up if begin <= answer.answered and end >= answer.asked - memory
        ]
        return max((end - begin for begin, end in windows), default=0.0)

    def begun(self, process: int, since: float, worker: str) -> None:
        self.eras.append(Era(process, since, worker))
        self.note(f"worker {worker}: process {process} measures its tables anew")


def measured_since(eras: Sequence[Era], at: float, process: int | None = None) -> float:
    """When the process that wrote something at `at` had last to measure its tables anew, at the latest.

    Nobody knows which process it was: the oldest of their eras; 0 if none is known.
    """
    latest: dict[str | int, float] = {}
    for era in eras:
        if era.since <= at:
            who = era.worker if process is None else era.process
            latest[who] = max(latest.get(who, 0.0), era.since)
    return latest.get(process, 0.0) if process is not None else min(latest.values(), default=0.0)
