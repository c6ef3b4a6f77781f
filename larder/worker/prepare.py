"""Before a worker starts: the broker answers, topics are there and fit the declarations, and are nobody else's.

Waits as long as it takes, saying what it waits for; creates the topics that the service owns, and claims
them. Mistakes are reported all together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiokafka.errors import KafkaError

from larder.clock import now
from larder.config.connection import Connection
from larder.declaring.checks.declarations import TopicFacts, problems
from larder.declaring.problems import DeclarationError
from larder.declaring.service import Service
from larder.declaring.topology import missing_topics, topics_of
from larder.kafka.admin import Cluster
from larder.kafka.retrying import RETRY_SECONDS, is_passing
from larder.worker.topic_ownership import claim

CLAIM_SECONDS = 30.0
"""How long claiming may take before it starts again: a few small requests, for which aiokafka may wait for ever."""


async def prepare(service: Service, connection: Connection, say: Callable[[str], None]) -> Mapping[str, TopicFacts]:
    """Facts about every topic of `service`; raises DeclarationError. `say` gets what is waited for."""
    while True:
        try:
            async with Cluster(connection) as cluster:
                facts = await _topics(service, cluster, say)
                async with asyncio.timeout(CLAIM_SECONDS):
                    await claim(cluster, service.name, _claimed(service, facts), now)
                return facts
        except (KafkaError, OSError) as error:
            if not is_passing(error):
                raise
            say(f"waiting for the broker at {connection}")
        await asyncio.sleep(RETRY_SECONDS)


async def _topics(service: Service, cluster: Cluster, say: Callable[[str], None]) -> Mapping[str, TopicFacts]:
    while True:
        facts = await _facts(service, cluster)
        if found := problems([service], facts):
            raise DeclarationError(found)
        absent = missing_topics(service, facts)
        mine = [use for use in topics_of(service, facts) if use.owned and use.name not in facts]
        # Two services may each wait for a topic of the other. Internal topics take their partitions from others, and so
        # do those that wait.
        possible = [use for use in mine if not (use.waits or (use.internal and absent))]
        if possible:
            await cluster.create(possible)
        elif absent:
            say(f"waiting for topics of other owners: {', '.join(absent)}")
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return facts


def _claimed(service: Service, facts: Mapping[str, TopicFacts]) -> Mapping[str, str]:
    """The topics, with their ids, that nobody else may write; internal ones have the service's name in theirs."""
    return {use.name: facts[use.name].topic_id for use in topics_of(service, facts) if use.owned and not use.internal}


async def _facts(service: Service, cluster: Cluster) -> Mapping[str, TopicFacts]:
    return await cluster.facts([use.name for use in topics_of(service)])
