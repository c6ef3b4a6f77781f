"""Calls that are not done, as every worker lists them. Real HTTP, over real tables of several workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import ClientSession

from larder import EventTopic, Row, Service
from larder.declaring.compiled.calls import place_codec
from larder.declaring.stored_calls import Beginning, StoredCall, calls_topic
from larder.kafka.partitioner import partition_of
from larder.types import Attempt
from larder.web.routes import calls as route
from tests.larder.store.samples import Sent
from tests.support.described import require_described
from tests.support.serving import NOW, Fleet, fleet, serving_from, sources

CARD = "4012888888881881"


class Order(Row):
    order_id: str
    customer: int


orders = EventTopic("shop.orders", Order, key="order_id", partitions=2)
shipping = Service("shipping")


@shipping.call(orders.by("customer"))
async def charge(order: Order, attempt: Attempt) -> None:
    """Call nothing."""


def stored(number: int, **changed: Any) -> StoredCall:
    """The call for an order of customer `number`."""
    call = StoredCall(
        id=f"topic-id/{number % 2}/{number}",
        place=place_codec(shipping.calls[0].source).encode(number),
        number=number,
        topic="shop.orders",
        partition=1,
        offset=number,
        timestamp=1_000,
        message_key=b"o",
        value=b'{"order_id":"o%d","card":"%s"}' % (number, CARD.encode()),
        headers=[("token", CARD.encode())],
        key=f"o{number}",
        since=NOW - number,
        due=NOW,
    )
    return msgspec.structs.replace(call, **changed)


RUNNING: dict[str, Any] = {"attempt": 1, "begun": Beginning("two", "run", NOW - 3)}
RETRYING: dict[str, Any] = {"attempt": 2, "failures": 2, "cause": "TimeoutError", "due": NOW + 9}


@asynccontextmanager
async def workers(directory: Path) -> AsyncIterator[Fleet]:
    topic = calls_topic("shipping.charge.calls", 2)
    shares = {"one": [0], "two": [1]}
    async with fleet(directory, shares, topic=topic, calls=lambda: shipping.calls) as made:
        yield made


def put(made: Fleet, offset: int, call: StoredCall) -> None:
    """Put a call into the partition of its event, whatever its own key is."""
    partition = partition_of(call.place, 2)
    for served in made.workers.values():
        if partition in served.table.partitions:
            served.table.apply(partition, [Sent(offset, call.id.encode(), msgspec.json.encode(call))])


async def told(made: Fleet, path: str, worker: str = "one") -> dict[str, Any]:
    status, body = await made[worker].get(path)
    assert status == 200, body
    require_described(path, status, "application/json", body)
    return body


async def test_any_worker_lists_the_calls_of_all_without_their_events(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        for number in range(6):
            put(made, number, stored(number))
        put(made, 9, stored(2, **RUNNING))
        put(made, 10, stored(3, **RETRYING))
        made.catch_up()
        found = await told(made, "/calls/charge")
        assert (found["table"], found["outcomes"]) == ("shipping.charge.calls", "shipping.charge.outcomes")
        assert sorted(each["event_key"] for each in found["calls"]) == [*map(str, range(6))]
        assert CARD not in str(found)
        by_key = {each["key"]: each for each in found["calls"]}
        assert by_key["o2"]["begun"] == {"worker": "two", "at": NOW - 3}
        assert (by_key["o3"]["state"], by_key["o3"]["cause"], by_key["o3"]["due"]) == (
            "retrying",
            "TimeoutError",
            NOW + 9,
        )
        assert (await told(made, "/calls/charge", "two"))["calls"] == found["calls"]


async def test_a_list_goes_on_at_its_cursor_and_may_be_of_one_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workers(tmp_path) as made:
        for number in range(9):
            put(made, number, stored(number, **(RETRYING if number % 3 == 0 else {})))
        made.catch_up()
        for limit, looked_at, state in ((2, 10_000, ""), (2, 10_000, "retrying"), (1, 1, "retrying")):
            monkeypatch.setattr(route, "LOOKED_AT", looked_at)
            monkeypatch.setattr(route, "LIMIT", 4)
            query, keys, cursor = f"limit={limit}&state={state}", list[str](), ""
            while True:
                found = await told(made, f"/calls/charge?{query}&cursor={cursor}")
                assert len(found["calls"]) <= limit
                keys += [each["key"] for each in found["calls"]]
                if (cursor := found["next"]) is None:
                    break
            assert sorted(keys) == [f"o{each}" for each in ((0, 3, 6) if state else range(9))]


async def test_one_call_has_its_event_and_one_that_is_done_is_no_longer_there(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        for number in (1, 12, 123):
            put(made, number, stored(number, id=f"topic-id/0/{number}"))
        made.catch_up()
        for worker in made.workers:
            found = await told(made, "/calls/charge/topic-id/0/12", worker)
            assert (found["value"]["card"], found["headers"]) == (CARD, [{"name": "token", "value": CARD}])
            status, body = await made[worker].get("/calls/charge/topic-id/0/2")
            assert (status, body["type"]) == (404, "urn:larder:no-such-call")
            require_described("/calls/charge/topic-id/0/2", status, "application/problem+json", body)


async def test_what_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        made.catch_up()
        for path, status, found in (
            ("/calls/charg", 404, "charge"),
            ("/calls/charge?state=late", 400, "'late'"),
            ("/calls/charge?cursor=x", 400, "another text"),
            ("/calls/charge/topic-id/0/2?limit=1", 400, "none of them"),
        ):
            answer, body = await made["one"].get(path)
            assert (answer, body["found"]) == (status, found)
        made.peers[1] = made.peers[1]._replace(partitions={})
        assert (await made["one"].get("/calls/charge"))[1]["type"] == "urn:larder:unserved"


async def test_a_worker_that_does_not_read_its_topics_yet_does_not_say_that_there_are_none() -> None:
    async with serving_from(sources(calls=lambda: shipping.calls)) as served:
        status, body = await served.get("/calls/charge")
        assert (status, body["type"], body["state"]) == (503, "urn:larder:recovering", "starting")


async def test_a_browser_gets_pages_on_which_nothing_breaks_out(tmp_path: Path) -> None:
    async with workers(tmp_path) as made:
        put(made, 1, stored(1, **{**RETRYING, "cause": "<script>alert(1)</script>"}))
        made.catch_up()
        call = f"/calls/charge/{quote(stored(1).id)}"
        for path, says in (("/calls/charge", call), (call, "larder calls retry shipping charge topic-id/")):
            headers = {"Accept": "text/html"}
            async with ClientSession() as session, session.get(made["two"].address(path), headers=headers) as answer:
                text = await answer.text()
            assert says in text
            assert "&lt;script&gt;" in text
            assert "<script>" not in text
