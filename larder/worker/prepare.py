"""Prepares the start of a worker: the broker answers, and the topics exist, fit the declarations and are free to use.

It waits as long as necessary and reports what it is waiting for. It settles where the service places its records,
creates the topics that the service owns, and claims them. It reports all problems together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiokafka.errors import KafkaError

from larder.clock import now
from larder.config.connection import Connection
from larder.declaring.checks.declarations import TopicFacts, problems
from larder.declaring.generations import Generation, placed
from larder.declaring.growth import OPEN, GrowthPhase
from larder.declaring.operators import Role
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.topology import TopicUse, missing_topics, topics_of
from larder.delivery.guarantees import Name
from larder.kafka.admin import Cluster
from larder.kafka.retrying import RETRY_SECONDS, is_passing
from larder.worker.generations import require_complete_mirrors, require_rows, settled
from larder.worker.growth_log import GrowthRecords
from larder.worker.left_calls import require_no_calls_left
from larder.worker.topic_ownership import claim

CLAIM_SECONDS = 30.0
"""How long claiming may take before it is retried. It needs only small requests, but aiokafka may wait forever."""


class Prepared(NamedTuple):
    """A service as its workers run it, the records that decide on that, and the facts about all of its topics.

    `following` is the service as its workers will run it after a growth that has begun, and has not switched.
    """

    service: Service
    following: Service | None
    records: GrowthRecords
    facts: Mapping[str, TopicFacts]

    @property
    def generation(self) -> Generation | None:
        """The generation that counts."""
        return self.records.generation


async def prepare(
    service: Service, connection: Connection, report: Callable[[str], None], *, guarantee: Name = "exactly_once"
) -> Prepared:
    """Prepare a service; raise DeclarationError. `report` receives what it waits for."""
    while True:
        try:
            async with Cluster(connection) as cluster:
                facts = await create_topics(service, cluster, report, _is_first)
                records = await settled(cluster, service, facts)
                run = placed(service, records.generation, answering(records, facts)) if records.generation else service
                _require_certainty(run, guarantee)
                await require_rows(cluster, run)
                await require_no_calls_left(cluster, run)
                facts = await create_topics(run, cluster, report)
                await require_complete_mirrors(cluster, run, facts, now)
                async with asyncio.timeout(CLAIM_SECONDS):
                    await claim(cluster, service.name, _claimed(run, facts), now)
                growth = records.state.growth
                following = placed(service, growth.generation) if growth and growth.phase in OPEN else None
                if following is not None:
                    facts = {**facts, **await create_topics(following, cluster, report)}
                return Prepared(run, following, records, facts)
        except (KafkaError, OSError) as error:
            if not is_passing(error):
                raise
            report(f"waiting for the broker at {connection}")
        await asyncio.sleep(RETRY_SECONDS)


def answering(records: GrowthRecords, facts: Mapping[str, TopicFacts]) -> list[str]:
    """Return the tables from whose own topics workers answer while their mirrors are filled.

    A topic that has grown is no longer complete as it is.
    """
    if records.generation is None or records.state.phase is not GrowthPhase.FILLING:
        return []
    filled = records.generation.filled
    return [name for name, count in filled.items() if name in facts and facts[name].partitions == count]


async def create_topics(
    service: Service,
    cluster: Cluster,
    report: Callable[[str], None],
    chosen: Callable[[TopicUse], bool] = lambda _: True,
) -> Mapping[str, TopicFacts]:
    """Return the facts about the topics of a service, once the `chosen` ones exist; create those that it owns."""
    while True:
        uses = topics_of(service)
        facts = await cluster.facts([use.name for use in uses])
        if found := problems([service], {use.name: facts.get(use.name) for use in uses if chosen(use)}):
            raise DeclarationError(found)
        absent = missing_topics(service, facts)
        mine = [use for use in topics_of(service, facts) if use.owned and use.name not in facts and chosen(use)]
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


def _is_first(use: TopicUse) -> bool:
    """Whether a topic is needed to settle the generation, which decides on the partition counts of all others."""
    return use.declared or Role.GROWTH in use.roles


def _require_certainty(service: Service, guarantee: Name) -> None:
    """Refuse mirrors with at least once: an older worker could write an old row behind a newer one."""
    mirrors = [each for each in service.rekeyed if each.mirrored]
    if mirrors and guarantee != "exactly_once":
        raise DeclarationError(
            [
                Problem(
                    f"service {service.name} with {each.source.name}",
                    'a table with another number of partitions requires guarantee = "exactly_once": a row that is'
                    " mirrored twice could replace a newer one",
                    f'"{guarantee}"',
                    "remove the setting, or give both topics the same number of partitions",
                )
                for each in mirrors
            ]
        )


def _claimed(service: Service, facts: Mapping[str, TopicFacts]) -> Mapping[str, str]:
    """Return the topics to claim, with their ids. Internal ones need no claim: they bear the service's name."""
    return {use.name: facts[use.name].topic_id for use in topics_of(service, facts) if use.owned and not use.internal}
