"""Tokens of writes, and reads that require a write or an age."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.store import (
    BehindError,
    InvalidTokenError,
    NotHeldError,
    OtherTopicError,
    Table,
    Token,
    TooStaleError,
    read_token,
    require_fresh,
    until_applied,
)
from tests.larder.store.samples import customers, row, small_memory

TOPIC, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """A global table of partitions 0 and 1."""
    table = Table(customers, tmp_path, small_memory(), "global")
    table.open((0, 1), TOPIC)
    yield table
    table.close()


@given(st.uuids(), st.dictionaries(st.integers(0, 10_000), st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_a_token_is_text_for_a_url_and_is_read_back(topic: UUID, offsets: dict[int, int]) -> None:
    token = Token(str(topic), offsets)
    assert set(token.text()) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.")
    assert read_token(token.text()) == token


@given(st.text(max_size=60))
def test_an_invalid_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        read_token(text)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text[:-3], "found "),
        (lambda text: text + "AAAA", "found "),
        (lambda text: "2" + text[1:], "requires a token of version 1; found version 2; give the token as"),
        (lambda _: "hello", "token 'hello': requires a token of version 1; found another text"),
        (lambda _: Token(TOPIC, {0: -1}).text(), "found a text that no write answers with"),
        (lambda _: Token(TOPIC, {}).text(), "found a text that no write answers with"),
    ],
)
def test_an_invalid_token_is_explained(change: Callable[[str], str], found: str) -> None:
    with pytest.raises(InvalidTokenError, match=found):
        read_token(change(Token(TOPIC, {0: 17}).text()))


async def test_a_read_waits_for_each_partition_of_its_token(table: Table) -> None:
    waiting = asyncio.create_task(until_applied(table, Token(TOPIC, {0: 1, 1: 0}), within=5))
    for partition, written in ((0, row(0, "a", 1)), (0, row(1, "b", 1)), (1, row(0, "c", 1))):
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        table.apply(partition, [written])
    await waiting
    await until_applied(table, Token(TOPIC, {0: 1, 1: 0}), within=0)


async def test_writes_of_other_partitions_are_not_awaited(table: Table) -> None:
    table.apply(1, [row(0, "c", 1)])
    await until_applied(table, Token(TOPIC, {0: 100, 1: 0}), within=0, partitions=[1])


async def test_a_read_that_times_out_reports_the_position(table: Table) -> None:
    table.apply(0, [row(0, "a", 1)])
    table.observe(0, 9, 1_000.0)
    with pytest.raises(BehindError) as behind:
        await until_applied(table, Token(TOPIC, {0: 7, 1: 0}), within=0.05)
    assert str(behind.value) == (
        "table shop.customers: must be past what was written within 0.05 s; found partition 0 recovering at 1 of 9,"
        " before 8, partition 1 starting at 0 of ?, before 1; ask again: it may be there by then"
    )


async def test_a_token_of_another_topic_is_refused_naming_both(table: Table) -> None:
    with pytest.raises(OtherTopicError, match=f"found one of topic id {OTHER}, and a table of {TOPIC}"):
        await until_applied(table, Token(OTHER, {0: 0}), within=5)


async def test_a_partition_that_is_not_here_is_reported(table: Table) -> None:
    with pytest.raises(NotHeldError, match=r"found partition 2, with \[0, 1\] open"):
        await until_applied(table, Token(TOPIC, {2: 0}), within=5)


async def test_a_partition_that_goes_away_ends_the_wait(tmp_path: Path) -> None:
    table = Table(customers, tmp_path, small_memory(), "partition")
    table.open((0, 1), TOPIC)
    waiting = asyncio.create_task(until_applied(table, Token(TOPIC, {0: 5}), within=60))
    await asyncio.sleep(0)
    table.close(0)
    with pytest.raises(NotHeldError, match="partition 0"):
        await asyncio.wait_for(waiting, 5)
    table.close()


async def test_a_reopened_store_is_awaited_unless_its_topic_is_another(table: Table) -> None:
    same = asyncio.create_task(until_applied(table, Token(TOPIC, {0: 0}), within=60))
    late = asyncio.create_task(until_applied(table, Token(TOPIC, {0: 5}), within=60))
    await asyncio.sleep(0)
    table.close()
    table.open((0, 1), TOPIC)
    table.apply(0, [row(0, "a", 1)])
    await asyncio.wait_for(same, 5)
    table.close()
    table.open((0, 1), OTHER)
    with pytest.raises(OtherTopicError):
        await asyncio.wait_for(late, 5)


async def test_a_copy_without_a_broker_answers_for_its_own_writes(table: Table) -> None:
    table.apply(0, [row(0, "a", 1)])
    table.close()
    table.open((0, 1), None)
    table.state(0).disconnect()
    await until_applied(table, Token(TOPIC, {0: 0}), within=0)
    with pytest.raises(BehindError, match="partition 0 disconnected at 1"):
        await until_applied(table, Token(TOPIC, {0: 1}), within=0)


def test_a_read_can_be_refused_for_its_age(table: Table) -> None:
    table.observe(0, 0, 1_000.0)
    require_fresh(table, 5.0, 1_005.0, [0])
    with pytest.raises(TooStaleError, match=r"no older than 5 s; found partition 0 .* whose end was met 5\.1 s ago"):
        require_fresh(table, 5.0, 1_005.1, [0])
    with pytest.raises(TooStaleError, match=r"partition 1 .* never met"):
        require_fresh(table, 5.0, 1_005.0)
    with pytest.raises(NotHeldError):
        require_fresh(table, 5.0, 1_005.0, [2])
