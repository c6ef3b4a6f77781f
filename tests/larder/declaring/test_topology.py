"""The topics of a service: roles, ownership and settings."""

from datetime import timedelta

from agents import fulfilment, shipping
from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait
from larder.declaring.facts import TopicFacts
from larder.declaring.operators import Role
from larder.declaring.topology import missing_topics, topics_of
from tables import shop


class Thing(Row):
    key: str


things = OwnerTopic("things", Thing, key="key", partitions=6)
events = EventTopic("events", Thing, key="key", owner="s", retention=timedelta(days=1))
results = EventTopic("results", Thing, key="key", partitions=3)


def test_the_topics_of_a_service_are_listed() -> None:
    found = {use.name: (use.roles, use.owned) for use in topics_of(shipping.shipping)}
    assert found == {
        "shop.customers": ((Role.TABLE,), False),
        "shop.products": ((Role.TABLE,), False),
        "shop.orders": ((Role.SOURCE,), False),
        "shipping.shop.orders.replays": ((Role.REPLAYS,), True),
        "shop.enriched-orders": ((Role.OUTPUT,), True),
        "shipping.shop.enriched-orders.waiting": ((Role.WAITING,), True),
        "shipping.dead-letters": ((Role.DEAD_LETTERS,), True),
    }


def test_rekeying_adds_an_internal_topic() -> None:
    found = {use.name: use for use in topics_of(fulfilment.fulfilment)}
    rekeyed = found["fulfilment.shop.orders.by.customer_id"]
    assert (rekeyed.roles, rekeyed.owned, rekeyed.partitions) == ((Role.REKEYED,), True, 4)


PASSING = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "max.message.bytes": "8388608",
    "message.timestamp.after.max.ms": "9223372036854775807",
}
"""Settings for events on their way through a service, which accept every time and size."""


def test_topics_are_created_with_their_declared_settings() -> None:
    service = Service("s")
    service.join(events.by("key"), service.table(things), into=results, missing=Wait(seconds=1).then(DeadLetter))
    found = {use.name: (use.partitions, use.config) for use in topics_of(service)}
    assert found == {
        "things": (6, {"cleanup.policy": "compact"}),
        "events": (4, {"cleanup.policy": "delete", "retention.ms": "86400000"}),
        "s.events.by.key": (
            6,
            PASSING,
        ),
        "s.events.replays": (
            4,
            PASSING,
        ),
        "s.events.by.key.replays": (
            6,
            PASSING,
        ),
        "results": (3, {"cleanup.policy": "delete"}),
        "s.results.waiting": (
            6,
            {
                "cleanup.policy": "compact",
                "max.message.bytes": "8388608",
                "message.timestamp.type": "LogAppendTime",
            },
        ),
        "s.dead-letters": (
            4,
            {
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "retention.bytes": "-1",
                "max.message.bytes": "8388608",
                "message.timestamp.type": "LogAppendTime",
            },
        ),
        "s.growth": (
            1,
            {
                "cleanup.policy": "compact",
                "max.message.bytes": "8388608",
                "message.timestamp.type": "LogAppendTime",
            },
        ),
    }


def test_internal_topics_follow_what_the_broker_has() -> None:
    service = Service("s")
    service.join(events.by("key"), service.table(things), into=results, missing=Wait(seconds=1).then(DeadLetter))
    known = {"things": TopicFacts(12, "compact", 1, "id"), "s.dead-letters": TopicFacts(1, "delete", 1, "id")}
    counts = {use.name: use.partitions for use in topics_of(service, known)}
    assert counts["s.events.by.key"] == counts["s.results.waiting"] == 12
    assert counts["s.dead-letters"] == 1


def test_a_rekeyed_topic_for_a_global_table_has_the_partitions_of_its_source() -> None:
    service = Service("s")
    service.join(events.by("key"), service.global_table(things).on("key"), into=results)
    assert {use.name: use.partitions for use in topics_of(service)}["s.events.by.key"] == 4


def test_a_topic_in_two_roles_is_listed_once() -> None:
    service = Service("s")
    service.join(things, service.global_table(things).on("key"), into=results)
    assert topics_of(service)[0].roles == (Role.TABLE, Role.SOURCE)


def test_only_missing_topics_of_other_services_are_waited_for() -> None:
    assert missing_topics(shipping.shipping, {}) == ("shop.customers", "shop.products", "shop.orders")
    known = {name: TopicFacts(4, "compact", 1, "id") for name in ("shop.customers", "shop.products")}
    assert missing_topics(shipping.shipping, known | {"shop.orders": None}) == ("shop.orders",)


def test_a_service_owns_the_topics_that_name_it() -> None:
    service = Service("crm")
    service.global_table(shop.customers)
    assert missing_topics(service, {}) == ()
