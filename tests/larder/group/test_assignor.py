"""The group's assignor: pure decisions over the reports of members, and real groups."""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder.group.assignor import Given, MemberReport, Partitions, assign
from tests.larder.group.test_faust_app import Taken, member
from tests.support.topics import create, until

COUNTS = {"customers": 4, "orders": 4, "waiting": 4, "others": 2, "gone": 0}

reports = st.builds(
    MemberReport,
    round=st.integers(0, 3),
    active=st.dictionaries(st.sampled_from(list(COUNTS)), st.lists(st.integers(0, 6), max_size=4)),
    standby=st.dictionaries(st.sampled_from(list(COUNTS)), st.lists(st.integers(0, 6), max_size=4)),
    stored=st.dictionaries(
        st.sampled_from(list(COUNTS)), st.dictionaries(st.integers(0, 6), st.integers(0, 100), max_size=4)
    ),
)


def _all(partitions: Partitions) -> set[tuple[str, int]]:
    return {(topic, number) for topic, numbers in partitions.items() for number in numbers}


@given(st.lists(reports, min_size=1, max_size=4))
def test_each_partition_is_assigned_once_and_equal_numbers_stay_together(
    reported: list[MemberReport],
) -> None:
    names = [f"m{number}" for number in range(len(reported))]
    active, standbys = assign(
        COUNTS, dict.fromkeys(names, frozenset(COUNTS)), dict(zip(names, reported, strict=True)), standby=True
    )
    given_ = [each for name in names for each in _all(active[name])]
    assert sorted(given_) == sorted((topic, number) for topic, count in COUNTS.items() for number in range(count))
    for name in names:
        assert len({tuple(active[name].get(topic, ())) for topic in ("customers", "orders", "waiting")}) == 1
        assert not _all(active[name]) & _all(standbys[name])


def test_an_outdated_claim_of_a_paused_member_is_ignored() -> None:
    reported = {
        "zombie": MemberReport(round=3, active={"orders": [0, 1, 2, 3]}),
        "a": MemberReport(round=4, active={"orders": [0, 1]}),
        "b": MemberReport(round=4, active={"orders": [2, 3]}),
    }
    active, _ = assign({"orders": 4}, dict.fromkeys(reported, frozenset(["orders"])), reported, standby=False)
    assert len(_all(active["a"]) & {("orders", 0), ("orders", 1)}) >= 1
    assert len(_all(active["b"]) & {("orders", 2), ("orders", 3)}) >= 1
    assert len(active["zombie"]["orders"]) == 1


def test_a_topic_is_assigned_only_to_members_that_read_it() -> None:
    reads = {"old": frozenset(["orders"]), "new": frozenset(["orders", "returns"])}
    active, _ = assign({"orders": 4, "returns": 4}, reads, dict.fromkeys(reads, MemberReport()), standby=True)
    assert active["old"].keys() == {"orders"}
    assert len(active["old"]["orders"]) == len(active["new"]["orders"]) == 2
    assert active["new"]["returns"] == [0, 1, 2, 3]


def test_topics_with_few_partitions_do_not_all_go_to_the_same_member() -> None:
    counts = {"a": 1, "b": 2, "c": 3}
    reads = dict.fromkeys(("one", "two", "three"), frozenset(counts))
    active, _ = assign(counts, reads, dict.fromkeys(reads, MemberReport()), standby=False)
    assert {len(_all(each)) for each in active.values()} == {2}


async def test_members_keep_their_partitions_when_another_joins_and_leaves(kafka: str, prefix: str) -> None:
    topics = [f"{prefix}.{name}" for name in ("customers", "orders")]
    await create(kafka, dict.fromkeys(topics, 6))
    one, two, three = Taken(), Taken(), Taken()
    async with AsyncExitStack() as stack:
        for intake in (one, two):
            await stack.enter_async_context(member(kafka, prefix, intake, topics))
        await until(lambda: len(one.assigned) == len(two.assigned) == 6, 30, "three partitions of each topic")
        before = [set(one.assigned), set(two.assigned)]
        async with member(kafka, prefix, three, topics):
            await until(lambda: len(one.assigned) == len(two.assigned) == len(three.assigned) == 4, 30, "two of each")
            assert set(one.assigned) < before[0]
            assert set(two.assigned) < before[1]
        await until(lambda: len(one.assigned) == len(two.assigned) == 6, 30, "three of each again")


async def test_the_member_with_most_rows_gets_a_partition_and_the_next_is_its_standby(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.customers"
    await create(kafka, {topic: 2})
    tps = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    cold, warm, warmer = Taken(), Taken(), Taken()
    warm.stored = {tps[0]: 1_000_000, tps[1]: 800_000}
    warmer.stored = {tps[0]: 900_000, tps[1]: 1_000_000}
    async with AsyncExitStack() as stack:
        for intake in (cold, warm, warmer):
            await stack.enter_async_context(member(kafka, prefix, intake, [topic], standby=1))
        await until(lambda: (warm.assigned, warmer.assigned) == ([tps[0]], [tps[1]]), 30, "the members with most rows")
        await until(lambda: set(warm.standbys) | set(warmer.standbys) | set(cold.standbys) == set(tps), 10, "standbys")
        assert not set(warm.assigned) & set(warm.standbys)


class _Newer(RoundRobinPartitionAssignor):
    """A member of a later version. Its reports have more fields, and it does not understand our assignments."""

    name = "larder"
    content = b""

    @classmethod
    def metadata(cls, topics: set[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(7, list(topics), cls.content)

    @classmethod
    def assign(cls, cluster: ClusterMetadata, members: object) -> dict[str, object]:
        given_ = RoundRobinPartitionAssignor.assign(cluster, members)
        for each in given_.values():
            each.user_data = cls.content
        return given_


async def test_members_of_other_versions_share_a_group_whichever_leads_it(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.in"
    await create(kafka, {topic: 4})
    contents = [b"", b"\xff\x00 no JSON", msgspec.json.encode({"version": 9, "round": "so?", "active": [1], "more": 1})]
    for ours_first in (True, False):
        for content in contents:
            intake = Taken()
            other = AIOKafkaConsumer(
                topic, bootstrap_servers=kafka, group_id=prefix, session_timeout_ms=6_000, heartbeat_interval_ms=300,
                partition_assignment_strategy=[type("_Made", (_Newer,), {"content": content})],
                enable_auto_commit=False,
            )  # fmt: skip
            async with AsyncExitStack() as stack:
                if ours_first:
                    await stack.enter_async_context(member(kafka, prefix, intake, [topic]))
                    await until(lambda intake=intake: len(intake.assigned) == 4, 30, "all partitions")
                await other.start()
                stack.push_async_callback(other.stop)
                if not ours_first:
                    await stack.enter_async_context(member(kafka, prefix, intake, [topic]))
                await until(lambda intake=intake: len(intake.assigned) == 2, 30, "half of the partitions")
                await until(lambda other=other: len(other.assignment()) == 2, 30, "the other half")
                assert intake.failures == []


async def test_a_member_that_returns_with_other_topics_causes_a_rebalance(kafka: str, prefix: str) -> None:
    old, new, more = (f"{prefix}.{name}" for name in ("old", "new", "more"))
    await create(kafka, {old: 2, new: 2, more: 2})
    staying, before, after = Taken(), Taken(), Taken()
    async with member(kafka, prefix, staying, [old, new], session=30.0):
        async with member(kafka, prefix, before, [old, new], "two", 30.0, stays=True):
            await until(lambda: len(staying.assigned) == len(before.assigned) == 2, 30, "a partition of each for each")
        async with member(kafka, prefix, after, [new, more], "two", 30.0):
            expected = {TopicPartition(more, 0), TopicPartition(more, 1)}
            await until(lambda: expected <= set(after.assigned), 15, "the topic that only it reads")
            await until(
                lambda: sum(tp.topic == old for tp in staying.assigned) == 2, 15, "the topic that it no longer reads"
            )
            assert sum(tp.topic == new for tp in [*after.assigned, *staying.assigned]) == 2
            assert after.failures == []


def test_reports_and_assignments_survive_encoding() -> None:
    report = MemberReport(1, 5, {"t": [1]}, {"t": [2]}, {"t": {1: 10, 2: 9}}, 1)
    assert msgspec.json.decode(msgspec.json.encode(report), type=MemberReport) == report
    assert msgspec.json.decode(b'{"round": 4, "hints": {}}', type=Given) == Given(round=4)
