"""Publish or delete rows on behalf of their owner."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from larder.cli.terminal.output import answer, json_option
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.client.publishing import Message, Published
    from larder.declaring.claims import Claim
    from larder.declaring.service import Service
    from larder.declaring.topics import EventTopic, OwnerTopic

# Seconds. A long file takes minutes to publish.
PUBLISH_SECONDS = 600.0


@click.command("publish")
@click.argument("topic")
@click.argument("rows", nargs=-1, metavar="[JSON]... | -")
@click.option("--key", metavar="K", help="The key of a row that leaves it out.")
@click.option("--delete", "deleted", multiple=True, metavar="KEY", help="Delete the row of KEY. Can be repeated.")
@click.option("--as", "owner", metavar="OWNER", help="Act for OWNER: only the owner may write a topic.")
@json_option
def command(  # noqa: PLR0913 - each is an option
    *, topic: str, rows: tuple[str, ...], key: str | None, deleted: tuple[str, ...], owner: str | None, as_json: bool
) -> None:
    """Publish rows into TOPIC: JSON objects from the arguments or, with -, one per line of standard input.

    Checks all rows against their declared type before it sends the first. The key of each record is that of its row.
    Creates the topic as declared if it does not exist yet.
    """
    from larder.client.brokers import serving_broker  # noqa: PLC0415 - imports Kafka's client
    from larder.client.publishing import deletions, messages  # noqa: PLC0415
    from larder.config.declared import declared_services, topic_named  # noqa: PLC0415 - imports what the user wrote
    from larder.kafka.conversations import talk  # noqa: PLC0415

    services = declared_services(load_settings().settings.modules)
    declared = topic_named(list(services.values()), topic)
    _require_owner(declared, list(services.values()), owner)
    wanted = [*messages(declared, _lines(rows), key), *deletions(declared, deleted)]
    if not wanted:
        found = Problem("larder publish", "requires rows or --delete", "none", "give JSON objects, or - to read them")
        raise MistakeError(found)
    connection = serving_broker()
    published, token = talk(connection, _publish(connection, services, declared, wanted, owner), PUBLISH_SECONDS)
    _show(topic, published, len(deleted), token, as_json=as_json)


def _lines(rows: Sequence[str]) -> list[str]:
    if list(rows) != ["-"]:
        return list(rows)
    return [line for line in sys.stdin.read().splitlines() if line.strip()]


def _require_owner(topic: EventTopic | OwnerTopic, services: list[Service], given: str | None) -> None:
    from larder.config.declared import owner_of  # noqa: PLC0415 - imports what services are made of

    owner = owner_of(topic, services)
    if owner and owner != given:
        raise _not_owner(topic.name, owner, given)


def _not_owner(topic: str, owner: str, given: str | None) -> MistakeError:
    found = f"--as {given}" if given else "no --as"
    do = f"to publish on behalf of {owner}, add --as {owner}"
    return MistakeError(Problem(f"topic {topic}", f"only its owner {owner} may write it", found, do))


def _respect(claim: Claim | None, given: str | None) -> None:
    """Refuse a topic that another service has claimed; warn if the workers of OWNER write it as well."""
    if claim is None:
        return
    if claim.service != given:
        raise _not_owner(claim.topic, claim.service, given)
    found = f"a claim of {claim.service}, whose workers write it (since {claim.since})"
    do = "make sure that they do not write rows of the same keys"
    click.echo(f"larder: {Problem(f'topic {claim.topic}', 'requires a single writer', found, do)}", err=True)


async def _publish(
    connection: Connection,
    services: dict[str, Service],
    topic: EventTopic | OwnerTopic,
    wanted: list[Message],
    owner: str | None,
) -> tuple[Published, str]:
    from larder.client.publishing import publish  # noqa: PLC0415
    from larder.config.declared import declared_topics  # noqa: PLC0415 - imports what services are made of
    from larder.kafka.admin import Cluster  # noqa: PLC0415 - imports Kafka's client
    from larder.store import Token  # noqa: PLC0415
    from larder.worker.topic_ownership import claims  # noqa: PLC0415 - imports Kafka's client

    async with Cluster(connection) as cluster:
        _respect((await claims(cluster)).get(topic.name), owner)
        # Its number of partitions may depend on another topic.
        facts = await cluster.facts([each.use.name for each in declared_topics(services, None, {})])
        if topic.name not in facts:
            await cluster.create(
                [each.use for each in declared_topics(services, None, facts) if each.use.name == topic.name]
            )
        published = await publish(connection, topic.name, wanted)
        topic_id = (await cluster.facts([topic.name]))[topic.name].topic_id
    return published, Token(topic_id, published.offsets).text()


def _show(topic: str, published: Published, deleted: int, token: str, *, as_json: bool) -> None:
    found = {
        "topic": topic,
        "rows": published.records - deleted,
        "deleted": deleted,
        "last": {"partition": published.partition, "offset": published.offset},
        "token": token,
    }
    counts = f"{published.records - deleted:,} published, {deleted:,} deleted"
    last = f"the last at offset {published.offset} of partition {published.partition}"
    answer(found, as_json=as_json, for_people=lambda: click.echo(f"{topic}: {counts}; {last}\ntoken: {token}"))
