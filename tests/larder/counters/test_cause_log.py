"""Causes of dead letters are logged: the first of each at once, then how many more, and never too many lines."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from larder.counters.cause_log import MOST_KINDS, CauseLog, kind_of, say_causes


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_causes_that_differ_in_values_alone_are_one_cause() -> None:
    same = "the key requires {}; found: '{}' of 2024-01-{}"
    assert kind_of(same.format("`int`", "a b", 1)) == kind_of(same.format("`int`", "x", 31))
    assert kind_of(same.format("`int`", "a", 1)) != kind_of(same.format("`str`", "a", 1))


def test_the_first_of_each_cause_is_logged_at_once_and_the_number_of_the_others_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    causes = CauseLog("input orders", clock)
    for offset in range(100):
        causes.note(3, offset, f"no partner {offset}")
    causes.note(3, 100, "no value")
    causes.say_more()
    assert caplog.messages == [
        "input orders: the record at offset 0 of partition 3 is parked: no partner 0",
        "input orders: the record at offset 100 of partition 3 is parked: no value",
    ]
    clock.now += 60
    causes.say_more()
    clock.now += 60
    causes.say_more()
    assert caplog.messages[2:] == ["input orders: 99 more parked: no partner …"]


def test_the_number_of_causes_is_bounded_and_no_dead_letter_goes_uncounted(caplog: pytest.LogCaptureFixture) -> None:
    causes = CauseLog("input orders", Clock())
    words = [
        "".join(letters) for letters in zip("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba", strict=True)
    ]
    for offset, word in enumerate(words):
        causes.note(0, offset, word)
    causes.say_more(every=0)
    assert len(caplog.messages) == MOST_KINDS + 2
    assert caplog.messages[-1] == f"input orders: {len(words) - MOST_KINDS - 1} more parked: other causes"
    assert (len(causes.counts), causes.counts.total()) == (MOST_KINDS + 1, len(words))


async def test_a_worker_that_ends_logs_what_was_not_logged_yet(caplog: pytest.LogCaptureFixture) -> None:
    causes = CauseLog("input orders", Clock())
    saying = asyncio.create_task(say_causes(lambda: [causes]))
    await asyncio.sleep(0)
    causes.note(0, 1, "no value")
    causes.note(0, 2, "no value")
    saying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await saying
    assert caplog.messages[-1] == "input orders: 1 more parked: no value"
