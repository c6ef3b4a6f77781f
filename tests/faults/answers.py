"""Compares answers with the topic: a row is the one at its position, and "no such key" is certain. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.history import Answer, History, Violation
from tests.faults.plan import SESSION_SECONDS
from tests.faults.versions import Versions

NOT_YET = frozenset({"starting", "disconnected", "recovering"})
"""States in which a worker may read a log from its beginning again."""

SLACK_SECONDS = 0.5
"""The time from the broker's reading of its log's end until the worker notes that it has reached it: the answer may be
delayed by a slow connection."""


def answer_violations(
    history: History, table: str, versions: Versions, *, placed: bool = True
) -> Iterator[Violation]:  # fmt: skip
    """Yield the violations in answers about the rows of a table.

    Unless they are `placed`, workers read the rows from several topics, and their positions say nothing.
    """
    for answer in history.answers:
        if answer.table != table:
            continue
        slowed = history.slowed(answer, SESSION_SECONDS + SLACK_SECONDS)
        if answer.status == 200:
            yield from _row(answer, versions, slowed, placed=placed)
        elif answer.status == 404:
            yield from _absent(answer, versions, slowed)
        elif answer.status != 503:
            yield Violation("answer", f"{_described(answer)}: status {answer.status}, {answer.body}")


def _row(answer: Answer, versions: Versions, slowed: float, *, placed: bool) -> Iterator[Violation]:
    body = answer.body
    version = versions.at(answer.key, body["partition"], body["position"])
    if body["state"] in NOT_YET or not placed:
        # The worker reads the log from its beginning again, over the existing rows. Rows that the log no longer has
        # remain until its end is reached. The answer only has to state their greatest age.
        version = versions.used(answer.key, body["row"]) or version
    if body["row"] != version.row or (placed and body["offset"] not in version.offsets):
        yield Violation(
            "answer",
            f"{_described(answer)} at position {body['position']}: offset {body['offset']}, {body['row']};"
            f" the topic has {version.row} at {version.offsets}",
        )
        return
    if body["freshness_s"] is not None:
        since = answer.asked - body["freshness_s"] - SLACK_SECONDS - slowed
        if version not in versions.possible(answer.key, since, answer.answered):
            yield Violation(
                "answer",
                f"{_described(answer)}: revision {version.revision}, reported as at most {body['freshness_s']} s old;"
                f" the topic changed at {versions.possible(answer.key, since, answer.answered)[0].acked:.3f}",
            )


def _absent(answer: Answer, versions: Versions, slowed: float) -> Iterator[Violation]:
    """A worker that claims to be fresh reached the end within the duration of its session."""
    since = answer.asked - SESSION_SECONDS - SLACK_SECONDS - slowed
    if all(version.row is not None for version in versions.possible(answer.key, since, answer.answered)):
        yield Violation("answer", f"{_described(answer)} reported no such key; {versions.of(answer.key)[-3:]}")


def _described(answer: Answer) -> str:
    return f"worker {answer.worker}, {answer.table} {answer.key}, asked at {answer.asked:.3f}"
