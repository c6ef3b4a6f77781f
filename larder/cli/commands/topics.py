"""List the topics of the declared services, create missing ones, and release claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from larder.cli.terminal.output import answer, json_option, show_columns
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.config.declared import DeclaredTopic
    from larder.declaring.claims import Claim
    from larder.declaring.facts import TopicFacts
    from larder.declaring.service import Service


class TopicsWanted(NamedTuple):
    """The request: the services, the one to list (None for all), and whether to create missing topics."""

    services: Mapping[str, Service]
    only: str | None
    create: bool


class Answered(NamedTuple):
    """The services as workers run them, the topics on the broker, those created just now, and the owners' claims."""

    services: Mapping[str, Service]
    facts: Mapping[str, TopicFacts]
    created: set[str]
    claims: Mapping[str, Claim]


@click.command("topics")
@click.argument("service", required=False)
@click.option("--create", is_flag=True, help="Create what is missing, as declared.")
@click.option("--release", "released", metavar="TOPIC", help="Let another service own TOPIC.")
@json_option
def command(*, service: str | None, create: bool, released: str | None, as_json: bool) -> None:
    """List the topics of the declared services, or of SERVICE: roles, owner, partitions, whether they exist.

    A worker creates the topics that its service owns when it starts. --create with SERVICE creates them now; --create
    alone creates all missing topics, including those whose owners are not among the loaded services.

    A worker claims the topics that its service owns, and a second owner is refused from then on. To change the owner
    on purpose (to rename a service, say), stop its workers and --release the topic.
    """
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.config.declared import declared_services, declared_topics  # noqa: PLC0415 - imports what the user wrote
    from larder.kafka.conversations import talk  # noqa: PLC0415

    if released is not None:
        if service or create:
            given = "--create" if create else service
            raise MistakeError(Problem("--release", "must be the only argument", f"{given} as well", "leave that out"))
        connection = serving_broker()
        claim = talk(connection, _release(connection, released))
        text = f"{claim.service} no longer owns {released}: the next service that declares itself its owner claims it"
        found = {"released": released, "service": claim.service, "since": claim.since}
        answer(found, as_json=as_json, for_people=lambda: click.echo(text))
        return
    services = declared_services(load_settings().settings.modules)
    declared_topics(services, service, {})  # raises for a mistake in SERVICE before any request to a broker
    connection = serving_broker()
    answered = talk(connection, _ask(connection, TopicsWanted(services, service, create)))
    listed = [_described(each, answered) for each in declared_topics(answered.services, service, answered.facts)]
    answer({"broker": str(connection), "topics": listed}, as_json=as_json, for_people=lambda: _show(listed))


async def _ask(connection: Connection, wanted: TopicsWanted) -> Answered:
    from larder.config.declared import declared_topics  # noqa: PLC0415 - imports what services are made of
    from larder.kafka.admin import Cluster  # noqa: PLC0415 - imports Kafka's client
    from larder.worker.generations import as_run  # noqa: PLC0415
    from larder.worker.topic_ownership import claims  # noqa: PLC0415 - imports Kafka's client

    async with Cluster(connection) as cluster:
        services, created = wanted.services, set[str]()
        # The declared topics decide how many partitions the internal ones have.
        for internal in (False, True):
            names = [each.use.name for each in declared_topics(services, wanted.only, {})]
            facts = await cluster.facts(names)
            declared = declared_topics(services, wanted.only, facts) if wanted.create else []
            missing = [each.use for each in declared if each.use.internal is internal and _lacks(each, wanted, facts)]
            if missing:
                await cluster.create(missing)
                created |= {use.name for use in missing}
                facts = await cluster.facts(names)
            if not internal:
                services = {name: await as_run(cluster, service) for name, service in services.items()}
        return Answered(services, facts, created, await claims(cluster))


async def _release(connection: Connection, topic: str) -> Claim:
    """Release the claim of a topic whose owner has no workers, and return it."""
    from larder.kafka.admin import Cluster  # noqa: PLC0415 - imports Kafka's client
    from larder.worker.topic_ownership import claims, release  # noqa: PLC0415 - imports Kafka's client

    async with Cluster(connection) as cluster:
        claim = (await claims(cluster)).get(topic)
        if claim is None:
            raise MistakeError(Problem(f"topic {topic}", "requires a claim to release", "none", "check its name"))
        if members := await cluster.members(claim.service):
            found = f"{', '.join(members)} in the group of {claim.service}, which writes it"
            raise MistakeError(Problem(f"topic {topic}", "requires an owner without workers", found, "stop them first"))
        await release(cluster, topic)
    return claim


def _lacks(topic: DeclaredTopic, wanted: TopicsWanted, facts: Mapping[str, TopicFacts]) -> bool:
    return topic.use.name not in facts and (not wanted.only or (topic.use.owned and not topic.use.waits))


def _described(topic: DeclaredTopic, answered: Answered) -> dict[str, Any]:
    return {
        "name": topic.use.name,
        "owner": topic.owner or None,
        "claimed_by": claim.service if (claim := answered.claims.get(topic.use.name)) else None,
        "roles": topic.roles,
        "partitions": topic.use.partitions,
        "compacted": topic.use.compacted,
        "exists": topic.use.name in answered.facts,
        "created": topic.use.name in answered.created,
    }


def _show(found: list[dict[str, Any]]) -> None:
    rows = []
    for each in found:
        used = "; ".join(f"{service}: {', '.join(roles)}" for service, roles in each["roles"].items())
        exists = "created" if each["created"] else "yes" if each["exists"] else "no"
        kind = "compacted" if each["compacted"] else "events"
        owner, claimed = each["owner"] or "any service", each["claimed_by"] or "-"
        rows.append((each["name"], exists, str(each["partitions"]), kind, owner, claimed, used))
    headings = ("topic", "exists", "partitions", "kind", "owner", "claimed by", "used by")
    show_columns(headings, rows, right=["partitions"])
