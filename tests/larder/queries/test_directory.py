"""Who else is there: asked seldom, waited for shortly, and remembered while nobody can tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from larder.group.peers import Peer
from larder.queries.directory import Directory


class Group:
    """What the broker says, and whether it says anything."""

    def __init__(self) -> None:
        self.peers: Sequence[Peer] | None = [Peer("one", "http://one:1", {"t": [0]}, {})]
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 100.0

    async def tell(self) -> Sequence[Peer] | None:
        self.asked += 1
        await self.answers.wait()
        return self.peers

    def directory(self) -> Directory:
        return Directory(self.tell, lambda: self.now)


async def test_it_is_asked_once_a_second_at_most_however_many_read() -> None:
    group = Group()
    directory = group.directory()
    for answers in await asyncio.gather(*(directory.peers() for _ in range(50))):
        assert answers == group.peers
    assert group.asked == 1
    group.now += 0.9
    await directory.peers()
    assert group.asked == 1
    group.now += 0.2
    group.peers = [Peer("two", "http://two:1", {}, {})]
    assert await directory.peers() == group.peers
    assert group.asked == 2


async def test_what_an_answer_contradicts_is_asked_anew_at_once() -> None:
    group = Group()
    directory = group.directory()
    await directory.peers()
    group.peers = []
    assert await directory.peers(anew=True) == []
    assert group.asked == 2


async def test_while_the_broker_is_silent_the_last_answer_is_given_after_a_short_wait_and_then_without_any() -> None:
    group = Group()
    directory = Directory(group.tell)
    before = await directory.peers()
    group.answers.clear()
    began = time.monotonic()
    assert await directory.peers(anew=True) == before
    assert 0.3 < time.monotonic() - began < 2
    await asyncio.sleep(0.2)
    began = time.monotonic()
    assert await directory.peers() == before
    assert await directory.peers(anew=True) == before
    assert time.monotonic() - began < 0.2
    await directory.close()


async def test_while_partitions_move_and_when_asking_fails_the_last_answer_is_kept() -> None:
    group = Group()
    directory = group.directory()
    before = await directory.peers()
    group.peers = None
    assert await directory.peers(anew=True) == before

    async def fails() -> None:
        raise ConnectionError

    directory._ask = fails
    assert await directory.peers(anew=True) == before
