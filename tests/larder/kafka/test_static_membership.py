"""Members that keep their place over a restart, on a real broker, and what aiokafka lacks for it."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.errors import UnknownError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from larder.group.faust_consumer import Consumer
from larder.kafka import static_membership
from larder.kafka.committed import Committed
from larder.kafka.static_membership import FENCED_INSTANCE, ReplacedError
from larder.kafka.transactions import GroupFencedError, TransactionalProducer
from tests.larder.group.test_faust_app import Taken, member
from tests.support.topics import create, until

LONG = 30.0
"""A session that outlasts each test: a test that waits for it fails."""


async def test_a_member_back_within_its_session_keeps_its_partitions_without_a_rebalance(
    kafka: str, prefix: str
) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 4})
    other, before, after = Taken(), Taken(), Taken()
    async with member(kafka, prefix, other, [topic], session=LONG):
        async with member(kafka, prefix, before, [topic], "two", LONG, stays=True):
            await until(lambda: len(other.assigned) == len(before.assigned) == 2, 30, "two partitions for each")
            had, epoch = list(before.assigned), other.epoch
        async with member(kafka, prefix, after, [topic], "two", LONG):
            await until(lambda: after.assigned, 10, "its partitions")
            assert (after.assigned, other.epoch) == (had, epoch)


async def test_a_member_that_leaves_frees_its_partitions_at_once(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 4})
    staying, leaving = Taken(), Taken()
    async with member(kafka, prefix, staying, [topic], session=LONG):
        async with member(kafka, prefix, leaving, [topic], session=LONG):
            await until(lambda: len(staying.assigned) == len(leaving.assigned) == 2, 30, "two partitions for each")
        await until(lambda: len(staying.assigned) == 4, LONG / 3, "all partitions for the one that stays")


@pytest.mark.parametrize("learns", ["by its heartbeat", "by a commit", "by a transaction"])
async def test_a_replaced_member_ends_with_an_error_and_does_not_return(kafka: str, prefix: str, learns: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 2})
    old, new = Taken(), Taken()
    async with AsyncExitStack() as stack:
        replaced = await stack.enter_async_context(member(kafka, prefix, old, [topic], "one", LONG))
        await until(lambda: len(old.assigned) == 2, 30, "all partitions")
        app = await stack.enter_async_context(member(kafka, prefix, new, [topic], "one", LONG))
        await until(lambda: len(new.assigned) == 2, 30, "all partitions for the one that came later")
        consumer = cast("Consumer", replaced.consumer)
        if learns == "by a commit":
            requires = "requires a name that no other worker has"
            with pytest.raises(ReplacedError, match=f"worker one: {requires} .* {prefix}"):
                await consumer.commit_offsets({TopicPartition(topic, 0): Committed(0, "id-1")})
        if learns == "by a transaction":
            with pytest.raises(GroupFencedError, match="fenced instance"):
                await _commit_in_transaction(kafka, topic, consumer)
        with pytest.raises(ReplacedError):
            await _until_refused(consumer)
        epoch = new.epoch
        # Otherwise it would join again within a tenth of a second.
        for _ in range(20):
            await cast("Consumer", app.consumer).check_group()
            await cast("Consumer", app.consumer).commit_offsets({TopicPartition(topic, 0): Committed(0, "id-1")})
            await asyncio.sleep(0.05)
        assert (new.epoch, len(new.assigned)) == (epoch, 2)
    assert new.failures == []


async def _until_refused(consumer: Consumer) -> None:
    async with asyncio.timeout(10):
        while True:
            await consumer.check_group()
            await asyncio.sleep(0.05)


async def _commit_in_transaction(kafka: str, topic: str, consumer: Consumer) -> None:
    producer = TransactionalProducer(f"{topic}.one", 10_000, bootstrap_servers=kafka)
    await producer.start()
    try:
        await producer.begin(consumer.member())
        await producer.commit({TopicPartition(topic, 0): OffsetAndMetadata(1, "")})
    finally:
        await producer.discard()


async def test_members_that_offer_several_names_of_their_protocol_share_a_group(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 6})
    taken = [Taken(), Taken(), Taken()]
    async with AsyncExitStack() as stack:
        for name, each in zip(("one", "two", "three"), taken, strict=True):
            await stack.enter_async_context(member(kafka, prefix, each, [topic], name, LONG))
        await until(lambda: [len(each.assigned) for each in taken] == [2, 2, 2], 30, "two partitions for each")
        epochs = [each.epoch for each in taken]
        await asyncio.sleep(1)
        assert [each.epoch for each in taken] == epochs, "a group that nobody joins stays as it is"


def test_aiokafka_itself_joins_once_for_each_protocol() -> None:
    """Once it joins once, `static_membership` need not offer the names."""
    joins = inspect.getsource(CoordinatorGroupRebalance.perform_group_join)
    loop = joins.index("for assignor in self._assignors:")
    assert joins.index("\n            while try_join:") > loop, "the request is within the loop over the protocols"


def test_aiokafka_itself_sends_no_instance_id() -> None:
    """Once it does, `static_membership` has less to do."""
    newest = {each.API_KEY: each._CLASSES[-1].API_VERSION for each in (HeartbeatRequest, LeaveGroupRequest)}
    assert newest == {12: 1, 13: 1}
    assert OffsetCommitRequest._CLASSES[-1].API_VERSION < 7
    assert for_code(FENCED_INSTANCE) is UnknownError


@pytest.mark.parametrize(
    "name", ["_send_req", "_lookup_assignor", "_maybe_leave_group", "_on_join_complete", "check_errors"]
)
def test_the_overridden_parts_of_the_coordinator_have_the_same_arguments(name: str) -> None:
    theirs, ours = vars(GroupCoordinator)[name], vars(static_membership._StaticCoordinator)[name]
    assert asyncio.iscoroutinefunction(ours) == asyncio.iscoroutinefunction(theirs)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_aiokafkas_requests_have_the_fields_that_get_an_instance_id() -> None:
    heartbeat: Any = HeartbeatRequest("group", 7, "member")
    assert (heartbeat._generation_id, heartbeat._member_id) == (7, "member")
    assert cast("Any", LeaveGroupRequest("group", "member"))._member_id == "member"
    commit: Any = OffsetCommitRequest("group", 7, "member", -1, [("topic", [(0, 1, "")])])
    assert (commit._consumer_group_generation_id, commit._consumer_id) == (7, "member")
    assert commit._topics == [("topic", [(0, 1, "")])]
