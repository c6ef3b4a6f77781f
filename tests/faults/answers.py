"""What an answer claims, held against the topic: a row is that of its position, and "no such key" is certain. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.history import Answer, History, Violation
from tests.faults.plan import SESSION_SECONDS
from tests.faults.versions import Versions

NOT_YET = frozenset({"starting", "disconnected", "recovering"})
"""States in which a log may be about to be read from its start again."""

SLACK_SECONDS = 0.5
"""Between the moment in which the broker looked at its log's end and the one in which the worker noted that it was met:
an answer may wait in a slow connection."""


def answer_violations(history: History, table: str, versions: Versions) -> Iterator[Violation]:
    """Judge the answers about the rows of a table."""
    for answer in history.answers:
        if answer.table != table:
            continue
        slowed = history.slowed(answer, SESSION_SECONDS + SLACK_SECONDS)
        if answer.status == 200:
            yield from _row(answer, versions, slowed)
        elif answer.status == 404:
            yield from _absent(answer, versions, slowed)
        elif answer.status != 503:
            yield Violation("answer", f"{_told(answer)}: status {answer.status}, {answer.body}")


def _row(answer: Answer, versions: Versions, slowed: float) -> Iterator[Violation]:
    body = answer.body
    version = versions.at(answer.key, body["partition"], body["position"])
    if body["state"] in NOT_YET:
        # The log is read from its start again, over the rows that were there before: what it no longer has stays until
        # its end was met. How old they are at most is what the answer has to say.
        version = versions.used(answer.key, body["row"]) or version
    if body["row"] != version.row or body["offset"] not in version.offsets:
        yield Violation(
            "answer",
            f"{_told(answer)} at position {body['position']}: offset {body['offset']}, {body['row']};"
            f" the topic has {version.row} at {version.offsets}",
        )
        return
    if body["freshness_s"] is not None:
        since = answer.asked - body["freshness_s"] - SLACK_SECONDS - slowed
        if version not in versions.possible(answer.key, since, answer.answered):
            yield Violation(
                "answer",
                f"{_told(answer)}: revision {version.revision}, said to be {body['freshness_s']} s old at most;"
                f" the topic went on at {versions.possible(answer.key, since, answer.answered)[0].acked:.3f}",
            )


def _absent(answer: Answer, versions: Versions, slowed: float) -> Iterator[Violation]:
    """A worker is fresh when it says so: it met the end no longer ago than its session lasts."""
    since = answer.asked - SESSION_SECONDS - SLACK_SECONDS - slowed
    if all(version.row is not None for version in versions.possible(answer.key, since, answer.answered)):
        yield Violation("answer", f"{_told(answer)} said that there is no such key; {versions.of(answer.key)[-3:]}")


def _told(answer: Answer) -> str:
    return f"worker {answer.worker}, {answer.table} {answer.key}, asked at {answer.asked:.3f}"
