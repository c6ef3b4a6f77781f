"""Stories from a real broker: what is read, what belongs to them, and their bounds."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.tracing import reading
from larder.tracing.reading import TraceProgress, Wanted, tell
from larder.tracing.story import Story
from tests.support.topics import Sent, create, send

NOW = int(time.time() * 1000)
HOUR = 3_600_000
SEVEN, EIGHT = (f"0b5c4b1a-0000-4000-8000-00000000000{number}" for number in (7, 8))


class Order(Row):
    order_id: uuid.UUID


class Mail(Row):
    mail_id: str


def services(prefix: str) -> list[Service]:
    """A shop whose orders have UUIDs as keys, and a mailing that writes mails with other keys."""
    shop, mailing = Service(f"{prefix}-shop"), Service(f"{prefix}-mailing")
    orders = OwnerTopic(f"{prefix}.orders", Order, key="order_id", key_type=uuid.UUID, owner=shop.name)
    mails = EventTopic(f"{prefix}.mails", Mail, key="mail_id")
    mailing.join(orders, mailing.global_table(orders).on("order_id"), into=mails)
    return [shop, mailing]


def trace(number: int) -> list[tuple[str, bytes | None]]:
    return [("traceparent", b"00-%032x-%016x-01" % (number, 1))]


async def story(kafka: str, prefix: str, key: str, *, since: int = NOW - HOUR, **options: Any) -> Story:
    until = options.pop("until", NOW + HOUR)
    return await tell(Connection(kafka), services(prefix), Wanted(key, since, until), **options)


async def filled(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.orders": 2, f"{prefix}.mails": 2})
    orders = [
        Sent(SEVEN, {"order_id": SEVEN}, None, [*trace(1), ("larder.made", b"9" * 5_000)], NOW - 3 * HOUR),
        Sent(f"{{{SEVEN.upper()}}}", {"order_id": SEVEN}, 0, trace(2), NOW - 1_000),
        Sent(EIGHT, {"order_id": EIGHT}, None, trace(3), NOW - 1_000),
        Sent(SEVEN, None, None, [], NOW),
    ]
    made = ("larder.made", f"{NOW - 400} one".encode())
    await send(kafka, f"{prefix}.orders", orders)
    await send(
        kafka,
        f"{prefix}.mails",
        [
            Sent("m1", {"mail_id": "m1"}, None, [*trace(2), ("larder.cause", f"{prefix}.orders/0/0".encode()), made]),
            Sent("m3", {"mail_id": "m3"}, None, trace(3)),
            *[Sent(f"other{number}", {"mail_id": "o"}) for number in range(50)],
        ],
    )


async def test_a_story_has_the_records_of_its_key_and_of_their_traces_between_two_times(
    kafka: str, prefix: str
) -> None:
    await filled(kafka, prefix)
    found, seen = await story(kafka, prefix, SEVEN), list[TraceProgress]()
    steps = [(each.step.place.topic, each.step.kind, each.step.key, each.step.worker) for each in found.steps]
    assert steps == [
        (f"{prefix}.orders", "record", SEVEN, None),
        (f"{prefix}.mails", "record", "m1", "one"),
        (f"{prefix}.orders", "deletion", SEVEN, None),
    ]
    assert [(each.step.service, each.at) for each in found.steps[:2]] == [
        (f"{prefix}-shop", NOW - 1_000), (f"{prefix}-mailing", NOW - 400),
    ]  # fmt: skip
    assert (found.traces, found.whole) == ([f"{2:032x}"], True)
    assert set(found.missing) == {f"{prefix}-shop.dead-letters", f"{prefix}-mailing.dead-letters"}
    earlier = await story(kafka, prefix, SEVEN, since=NOW - 4 * HOUR, until=NOW - 2 * HOUR, report=seen.append)
    assert [each.step.trace for each in earlier.steps] == [f"{1:032x}"]
    assert seen[-1].read == seen[-1].of


async def test_a_story_is_bounded_and_says_so(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(kafka, prefix)
    in_no_time = await story(kafka, prefix, SEVEN, seconds=-1.0)
    assert (in_no_time.whole, in_no_time.steps) == (False, [])
    monkeypatch.setattr(reading, "MOST_STEPS", 2)
    cut = await story(kafka, prefix, SEVEN)
    assert (cut.whole, len(cut.steps)) == (False, 2)
    monkeypatch.setattr(reading, "MOST_STEPS", 100)
    monkeypatch.setattr(reading, "MOST_TRACES", 1)
    followed = await story(kafka, prefix, SEVEN, since=NOW - 4 * HOUR)
    assert (followed.whole, followed.traces) == (False, [f"{1:032x}"])


async def test_a_key_that_is_one_of_no_topic_is_refused(kafka: str, prefix: str) -> None:
    alone = Service(f"{prefix}-alone")
    alone.global_table(OwnerTopic(f"{prefix}.orders", Order, key="order_id", key_type=uuid.UUID, owner="shop"))
    with pytest.raises(MistakeError, match="requires a UUID"):
        await tell(Connection(kafka), [alone], Wanted("seven", 0, NOW))
    assert (await story(kafka, prefix, "m1")).steps == [], "a key of one topic is enough"
