"""Claims of topics on a real broker: made once, respected, and won by exactly one of several at the same time."""

from __future__ import annotations

import asyncio

import pytest

from larder.config.connection import Connection
from larder.declaring.claims import OWNERS, Claim
from larder.declaring.problems import DeclarationError
from larder.kafka.admin import Cluster
from larder.worker import topic_ownership
from larder.worker.topic_ownership import claim, claims, release
from tests.support.topics import read, send


def at() -> float:
    return 1_800_000_000.0


async def records_of(kafka: str, topic: str) -> int:
    return sum((record.key or b"").split()[:1] == [topic.encode()] for record in await read(kafka, OWNERS))


async def test_a_topic_is_claimed_once_however_often_workers_start(kafka: str, topic: str) -> None:
    async with Cluster(Connection(kafka)) as cluster:
        for _ in range(3):
            await claim(cluster, "stock", {topic: "id"}, at)
        assert (await claims(cluster))[topic] == Claim(topic, "stock", "id", "2027-01-15T08:00:00+00:00")
    assert await records_of(kafka, topic) == 1


async def test_a_second_owner_is_refused_and_leaves_nothing_behind(kafka: str, topic: str) -> None:
    async with Cluster(Connection(kafka)) as cluster:
        await claim(cluster, "stock", {topic: "id"}, at)
        with pytest.raises(DeclarationError, match=f"service sales, owner of {topic}: .*; found stock, which has"):
            await claim(cluster, "sales", {f"{topic}.other": "id", topic: "id"}, at)
        assert f"{topic}.other" not in await claims(cluster)
    assert await records_of(kafka, topic) == 1


async def test_a_released_topic_can_be_claimed_by_another_service(kafka: str, topic: str) -> None:
    async with Cluster(Connection(kafka)) as cluster:
        await claim(cluster, "stock", {topic: "id"}, at)
        await release(cluster, topic)
        assert topic not in await claims(cluster)
        await claim(cluster, "sales", {topic: "id"}, at)
        assert (await claims(cluster))[topic].service == "sales"
        with pytest.raises(DeclarationError):
            await claim(cluster, "stock", {topic: "id"}, at)


async def test_of_services_claiming_a_topic_at_once_one_wins_and_the_others_are_refused(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers of each of three services: all find no claim before the first makes one."""
    names = ["a", "a", "b", "b", "c", "c"]
    together = asyncio.Barrier(len(names))
    write = topic_ownership._write

    async def write_together(cluster: Cluster, values: dict[bytes, bytes | None]) -> None:
        if any(values.values()):
            await together.wait()
        await write(cluster, values)

    monkeypatch.setattr(topic_ownership, "_write", write_together)
    async with Cluster(Connection(kafka)) as cluster:
        ended = await asyncio.gather(
            *(claim(cluster, name, {topic: "id"}, at) for name in names), return_exceptions=True
        )
        winner = (await claims(cluster))[topic].service
        left = [each.service for each in (await topic_ownership._standing(cluster)).values() if each.topic == topic]
        assert set(left) == {winner}, "the loser withdrew its claim"
        await release(cluster, topic)
        assert topic not in await claims(cluster)
    for name, end in zip(names, ended, strict=True):
        assert (end is None) == (name == winner), (winner, name, end)
        assert end is None or f"found {winner}, which has claimed it" in str(end)


async def test_an_invalid_claim_is_logged_and_ignored(kafka: str, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Cluster(Connection(kafka)) as cluster:
        await claim(cluster, "stock", {f"{topic}.other": "id"}, at)
        await send(kafka, OWNERS, [(f"{topic} somebody", {"service": 1})])
        try:
            await claim(cluster, "stock", {topic: "id"}, at)
        finally:
            await send(kafka, OWNERS, [(f"{topic} somebody", None)])
        warning = "requires claims of services only; found another record at offset"
        assert warning in caplog.text
        caplog.clear()
        await claims(cluster)
        assert warning not in caplog.text, "it was deleted"
