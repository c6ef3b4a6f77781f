"""Background counts of dead letters: one at a time, with pauses, and the last one while the broker is away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from larder.config.connection import Connection
from larder.dead_letters.reading import Counted
from larder.dead_letters.tallying import Tally
from larder.kafka.conversations import unavailable
from larder.web.unsettled import LEAST_REST, PAUSE_SECONDS, Unsettled
from tests.support.topics import until

if TYPE_CHECKING:
    import pytest


BROKER = "kafka:9092"


def _counted(total: int) -> Counted:
    return Counted({}, Tally(total, (), whole=True))


class Counting:
    """A count that waits for `may_end`, advances the clock by `takes`, and then fails or adds one."""

    def __init__(self) -> None:
        self.now, self.takes, self.begun = 100.0, 0.0, 0
        self.away = False
        self.may_end = threading.Event()
        self.may_end.set()
        self.unsettled = Unsettled(self.count, lambda: self.now)

    def count(self, last: Counted | None) -> Counted:
        self.begun += 1
        self.may_end.wait(20)
        self.now += self.takes
        if self.away:
            raise unavailable(Connection(BROKER), "away")
        return _counted(1 if last is None else last.tally.total + 1)

    async def total(self) -> int | None:
        found = await self.unsettled.known()
        return None if found is None else found.tally.total

    async def has(self, total: int) -> bool:
        return await self.total() == total


async def test_a_request_starts_a_count_and_the_next_one_after_a_pause() -> None:
    counting = Counting()
    assert await counting.total() == 1
    counting.now += PAUSE_SECONDS - 0.1
    assert (await counting.total(), counting.begun) == (1, 1)
    counting.now += 0.2
    counting.takes = 5.0
    await until(lambda: counting.has(2), 20, "the second count")
    counting.now += 5.0 * LEAST_REST - 0.1
    assert (await counting.total(), counting.begun) == (2, 2)
    counting.now += 0.2
    await until(lambda: counting.has(3), 20, "the third count")


async def test_a_request_during_a_slow_count_gets_the_last_one_and_starts_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("larder.web.unsettled.FIRST_SECONDS", 0.01)
    counting = Counting()
    counting.may_end.clear()
    assert [await counting.total() for _ in range(3)] == [None] * 3
    assert counting.begun == 1
    counting.may_end.set()
    await until(lambda: counting.has(1), 20, "the first count")
    await counting.unsettled.close()


async def test_the_last_count_stays_known_while_the_broker_is_away() -> None:
    counting = Counting()
    assert await counting.total() == 1
    counting.away = True
    for _ in range(3):
        counting.now += PAUSE_SECONDS + 1
        assert await counting.total() == 1
    counting.away = False
    counting.now += PAUSE_SECONDS + 1
    await until(lambda: counting.has(2), 20, "the second count")
    await counting.unsettled.close()
