"""Prepares the start of a worker: the broker answers, and the topics exist, fit the declarations and are free to use.

It waits as long as necessary and reports what it is waiting for. It creates the topics that the service owns, and
claims them. It reports all problems together.
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
"""How long claiming may take before it is retried. It needs only small requests, but aiokafka may wait forever."""


async def prepare(service: Service, connection: Connection, report: Callable[[str], None]) -> Mapping[str, TopicFacts]:
    """Return the facts about every topic of `service`; raise DeclarationError. `report` gets the reason for a wait."""
    while True:
        try:
            async with Cluster(connection) as cluster:
                facts = await _topics(service, cluster, report)
                async with asyncio.timeout(CLAIM_SECONDS):
                    await claim(cluster, service.name, _claimed(service, facts), now)
                return facts
        except (KafkaError, OSError) as error:
            if not is_passing(error):
                raise
            report(f"waiting for the broker at {connection}")
        await asyncio.sleep(RETRY_SECONDS)


async def _topics(service: Service, cluster: Cluster, report: Callable[[str], None]) -> Mapping[str, TopicFacts]:
    while True:
        facts = await _facts(service, cluster)
        if found := problems([service], facts):
            raise DeclarationError(found)
        absent = missing_topics(service, facts)
        mine = [use for use in topics_of(service, facts) if use.owned and use.name not in facts]
        # Two services may each wait for a topic of the other, so create what is possible. Internal topics, and those
        # that wait, take their partition counts from other topics.
        possible = [use for use in mine if not (use.waits or (use.internal and absent))]
        if possible:
            await cluster.create(possible)
        elif absent:
            report(f"waiting for topics of other owners: {', '.join(absent)}")
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return facts


def _claimed(service: Service, facts: Mapping[str, TopicFacts]) -> Mapping[str, str]:
    """Return the topics to claim, with their ids. Internal ones need no claim: they bear the service's name."""
    return {use.name: facts[use.name].topic_id for use in topics_of(service, facts) if use.owned and not use.internal}


async def _facts(service: Service, cluster: Cluster) -> Mapping[str, TopicFacts]:
    return await cluster.facts([use.name for use in topics_of(service)])
