"""Causes of dead letters are logged: the first of each at once, then the number of others, with few lines."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from larder.counters.cause_log import MOST_KINDS, CauseLog, kind_of, log_causes


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_causes_that_differ_only_in_values_count_as_one() -> None:
    same = "the key requires {}; found: '{}' of 2024-01-{}"
    assert kind_of(same.format("`int`", "a b", 1)) == kind_of(same.format("`int`", "x", 31))
    assert kind_of(same.format("`int`", "a", 1)) != kind_of(same.format("`str`", "a", 1))


def test_the_first_of_a_cause_is_logged_at_once_and_the_others_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    causes = CauseLog("input orders", clock)
    for offset in range(100):
        causes.note(3, offset, f"no partner {offset}")
    causes.note(3, 100, "no value")
    causes.log_others()
    assert caplog.messages == [
        "input orders: the record at offset 0 of partition 3 cannot be used: no partner 0",
        "input orders: the record at offset 100 of partition 3 cannot be used: no value",
    ]
    clock.now += 60
    causes.log_others()
    clock.now += 60
    causes.log_others()
    assert caplog.messages[2:] == ["input orders: 99 more cannot be used: no partner …"]


def test_the_number_of_causes_is_bounded_and_every_dead_letter_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    causes = CauseLog("input orders", Clock())
    words = [
        "".join(letters) for letters in zip("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba", strict=True)
    ]
    for offset, word in enumerate(words):
        causes.note(0, offset, word)
    causes.log_others(every=0)
    assert len(caplog.messages) == MOST_KINDS + 2
    assert caplog.messages[-1] == f"input orders: {len(words) - MOST_KINDS - 1} more cannot be used: other causes"
    assert (len(causes.counts), causes.counts.total()) == (MOST_KINDS + 1, len(words))


async def test_a_worker_that_ends_logs_the_remaining_causes(caplog: pytest.LogCaptureFixture) -> None:
    causes = CauseLog("input orders", Clock())
    logging = asyncio.create_task(log_causes(lambda: [causes]))
    await asyncio.sleep(0)
    causes.note(0, 1, "no value")
    causes.note(0, 2, "no value")
    logging.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await logging
    assert caplog.messages[-1] == "input orders: 1 more cannot be used: no value"
