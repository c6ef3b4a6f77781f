"""The workers of a service: the broker is asked rarely, waited for briefly, and its last answer is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from larder.group.peers import Peer
from larder.queries.directory import Directory


class Group:
    """What the broker answers, and whether it answers."""

    def __init__(self) -> None:
        self.peers: Sequence[Peer] | None = [Peer("one", "http://one:1", {"t": [0]}, {})]
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 100.0

    async def ask(self) -> Sequence[Peer] | None:
        self.asked += 1
        await self.answers.wait()
        return self.peers

    def directory(self) -> Directory:
        return Directory(self.ask, lambda: self.now)


async def test_the_broker_is_asked_at_most_once_a_second_however_many_read() -> None:
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


async def test_a_refresh_asks_the_broker_at_once() -> None:
    group = Group()
    directory = group.directory()
    await directory.peers()
    group.peers = []
    assert await directory.peers(refresh=True) == []
    assert group.asked == 2


async def test_while_the_broker_is_silent_only_the_first_read_waits_for_it() -> None:
    group = Group()
    directory = Directory(group.ask)
    before = await directory.peers()
    group.answers.clear()
    began = time.monotonic()
    assert await directory.peers(refresh=True) == before
    assert 0.3 < time.monotonic() - began < 2
    await asyncio.sleep(0.2)
    began = time.monotonic()
    assert await directory.peers() == before
    assert await directory.peers(refresh=True) == before
    assert time.monotonic() - began < 0.2
    await directory.close()


async def test_the_last_answer_is_kept_while_partitions_move_or_asking_fails() -> None:
    group = Group()
    directory = group.directory()
    before = await directory.peers()
    group.peers = None
    assert await directory.peers(refresh=True) == before

    async def fails() -> None:
        raise ConnectionError

    directory._ask = fails
    assert await directory.peers(refresh=True) == before
