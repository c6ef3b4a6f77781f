"""Topics that the broker refuses to create: which refusals are mistakes, and their texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    PolicyViolationError,
    UnknownError,
)

from larder.config.connection import Connection
from larder.declaring import topology
from larder.declaring.operators import Role
from larder.declaring.problems import DeclarationError
from larder.declaring.topology import FOREVER, TopicUse
from larder.kafka import admin, topic_refusals
from larder.kafka.admin import Cluster
from larder.kafka.topic_refusals import TopicsUnavailableError, is_too_new, refusal, refused
from tests.support.topics import create, existing, until

USE = TopicUse("shop.joined", (), owned=True, compacted=False, partitions=4)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InvalidTopicError, DeclarationError),
        (PolicyViolationError, DeclarationError),
        (ClusterAuthorizationFailedError, TopicsUnavailableError),
        (InvalidReplicationFactorError, TopicsUnavailableError),
        (UnknownError, TopicsUnavailableError),
    ],
)
def test_a_refusal_is_a_mistake_or_a_matter_of_the_cluster(
    error: type[BrokerResponseError], raised: type[Exception]
) -> None:
    found = refused([refusal(USE, 3, error, "Not today.")])
    assert type(found) is raised
    assert str(found).startswith(
        "topic shop.joined: requires a broker that creates it, with 4 partitions and replication factor 3; "
        f"found a refusal: Not today ({error.__name__}); "
    )


def test_all_refusals_are_one_error_and_one_mistake_makes_it_a_mistake() -> None:
    error = refused([refusal(USE, 1, UnknownError, None), refusal(USE, 1, InvalidTopicError, "taken")])
    assert isinstance(error, DeclarationError)
    assert len(error.problems) == 2


async def test_a_colliding_name_is_refused_with_the_brokers_reason(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.a_b": 1})
    uses = [replace(USE, name=f"{prefix}.{name}") for name in ("a.b", "free")]
    async with Cluster(Connection(kafka)) as cluster:
        (found,) = await cluster.refusals(uses)
        assert found.topic == f"{prefix}.a.b"
        assert f"{prefix}.a_b" in found.problem.found, "the broker names it"
        assert await existing(kafka, prefix) == [f"{prefix}.a_b"], "nothing is created"
        with pytest.raises(DeclarationError, match="collides"):
            await cluster.create(uses)
        assert sorted(await existing(kafka, prefix)) == [f"{prefix}.a_b", f"{prefix}.free"]
        assert await cluster.refusals([replace(USE, name=f"{prefix}.free")]) == []


def test_only_settings_that_an_older_broker_can_do_without_are_left_out() -> None:
    unknown = "Unknown topic config name: message.timestamp.after.max.ms"
    assert is_too_new(refusal(USE, 1, InvalidConfigurationError, unknown))
    assert not is_too_new(refusal(USE, 1, InvalidConfigurationError, "Unknown topic config name: nope"))
    assert not is_too_new(refusal(USE, 1, PolicyViolationError, unknown))


async def test_an_older_broker_creates_a_topic_without_newer_settings(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This broker knows them all, so the test uses one that no broker knows."""
    monkeypatch.setattr(topology, "AFTER_MAX", "of.a.later.broker")
    for module in (admin, topic_refusals):
        monkeypatch.setattr(module, "TOO_NEW", {"of.a.later.broker"})
    use = replace(USE, name=f"{prefix}.joined", roles=(Role.JOINED,), retention=FOREVER)
    assert "of.a.later.broker" in use.config
    async with Cluster(Connection(kafka)) as connection:
        assert await connection.refusals([use]) == []
        await connection.create([use])

        async def made() -> str | None:
            # A broker learns the settings of a topic moments after the controller has created it.
            return (await connection.topic_settings([use.name]))[use.name].get("retention.ms")

        found = await until(made, 10, "settings of a new topic")
    assert found == "-1", "all other settings are as wanted"
