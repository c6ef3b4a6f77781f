"""The web port of a worker: rows, and its answers without a row. Real tables, real HTTP."""

from __future__ import annotations

import asyncio
import base64
import uuid
from typing import TYPE_CHECKING

import pytest

from larder import OwnerTopic, Row
from larder.client.local_workers import LocalWorker, ask
from larder.config.errors import UnavailableError
from larder.kafka.partitioner import partition_of
from larder.local_broker.ports import free_port
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.queries.paths import row_path
from larder.store import Table
from larder.web import make_app, start_web, stop_web
from tests.larder.store.samples import Sent, customers, gone, row, small_memory
from tests.support.serving import MAX_AGE, NOW, local_table, serving, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROBLEM = {"type", "title", "status", "detail", "declared", "requires", "found", "do"}
"""The fields of each problem (RFC 9457, and our own)."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., LocalTable]]:
    """Opens a table with two partitions; `here`: those on this worker."""
    held: list[LocalTable] = []

    def open_(topic: OwnerTopic = customers, how: str = "global", here: tuple[int, ...] = (0, 1)) -> LocalTable:
        table = Table(topic, tmp_path, small_memory(), how, lambda: NOW)  # type: ignore[arg-type]
        table.open(here, "id-1")
        held.append(local_table(table, 2))
        return held[-1]

    yield open_
    for each in held:
        each.close()


async def test_a_row_is_served_with_its_origin_state_and_freshness(opened: Callable[..., LocalTable]) -> None:
    async with serving(opened()) as served:
        served.table.apply(1, [row(7, "ada", 3, name="Ada", country="AT", timestamp=1234)])
        served.catch_up(0, 1)
        served.now += 2
        assert await served.row("ada") == (
            200,
            {
                "table": "shop.customers",
                "key": "ada",
                "row": {"customer_id": "ada", "name": "Ada", "country": "AT", "revision": 3},
                "partition": 1,
                "offset": 7,
                "timestamp": 1234,
                "revision": 3,
                "state": "caught up",
                "position": 8,
                "end": 8,
                "lag": 0,
                "freshness_s": 2.0,
                "worker": "one",
            },
        )


async def test_a_row_keeps_unknown_fields_and_gets_missing_defaults(
    opened: Callable[..., LocalTable],
) -> None:
    async with serving(opened()) as served:
        value = b'{"customer_id":"ada","revision":1,"huge":12345678901234567890123,"tags":["x"]}'
        served.table.apply(0, [Sent(0, b"ada", value)])
        _, answer = await served.row("ada")
        assert answer["row"] == {
            "customer_id": "ada",
            "name": "",
            "country": None,
            "revision": 1,
            "huge": 12345678901234567890123,
            "tags": ["x"],
        }


async def test_only_a_fresh_and_caught_up_worker_calls_a_key_absent(
    opened: Callable[..., LocalTable],
) -> None:
    async with serving(opened()) as served:
        assert (await served.row("bob"))[0] == 503
        served.catch_up(0)
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (503, "partition 1 starting, at 0 of ?")
        served.catch_up(1)
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (404, "no such key")
        assert set(answer) == PROBLEM
        assert (answer["type"], answer["status"]) == ("urn:larder:no-such-key", 404)
        served.now += MAX_AGE + 1
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (503, "partition 0, whose end was last met 7.0 s ago")


async def test_a_key_whose_newest_record_was_rejected_is_not_called_absent(opened: Callable[..., LocalTable]) -> None:
    async with serving(opened()) as served:
        served.table.apply(1, [Sent(7, b"ada", b"{}")])
        served.catch_up(0, 1)
        status, answer = await served.row("ada")
        assert (status, answer["type"]) == (404, "urn:larder:unreadable-row")
        assert (answer["partition"], answer["offset"]) == (1, 7)
        assert answer["cause"].startswith("the value requires the fields of Customer")
        assert answer["found"] == f"a record at offset 7 of partition 1 that was rejected: {answer['cause']}"
        served.held.role = TableRole(decided_on=True)
        assert (await served.row("ada"))[0] == 503, "a decide waits to read the row of a state"
        served.table.apply(1, [gone(8, "ada")])
        served.catch_up(1)
        assert (await served.row("ada"))[1]["type"] == "urn:larder:no-such-key"


async def test_no_key_is_called_absent_while_its_partition_recovers(
    opened: Callable[..., LocalTable],
) -> None:
    async with serving(opened()) as served:
        served.catch_up(0)
        served.table.observe(1, 100, served.now)
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (503, "partition 1 recovering, at 0 of 100")


async def test_without_a_broker_a_row_is_served_with_its_age_and_no_key_is_called_absent(
    opened: Callable[..., LocalTable],
) -> None:
    async with serving(opened()) as served:
        served.table.apply(0, [row(0, "ada", 1)])
        served.catch_up(0, 1)
        served.now += 60
        for partition in (0, 1):
            served.table.state(partition).disconnect()
        status, answer = await served.row("ada")
        assert (status, answer["state"], answer["freshness_s"], answer["end"]) == (200, "disconnected", 60.0, None)
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (503, "partition 0 disconnected, at 1 of ?")


async def test_without_a_partition_count_no_key_is_called_absent(
    opened: Callable[..., LocalTable],
) -> None:
    held = opened()
    held.partition_count = 0
    async with serving(held) as served:
        served.catch_up(0, 1)
        assert (await served.row("bob"))[0] == 503


async def test_a_worker_without_the_partition_of_a_key_names_it(opened: Callable[..., LocalTable]) -> None:
    keys = {partition_of(key.encode(), 2): key for key in ("a", "b", "c", "d", "e", "f")}
    async with serving(opened(how="partition", here=(0,))) as served:
        served.catch_up(0)
        assert (await served.row(keys[0]))[0] == 404
        status, answer = await served.row(keys[1])
        assert (status, answer["found"]) == (503, "partition 1 not on this worker (here: 0)")
        assert answer["do"] == "ask the worker that processes it"


async def test_a_new_partition_of_a_global_table_makes_absence_uncertain(opened: Callable[..., LocalTable]) -> None:
    held = opened()
    held.partition_count = 3
    async with serving(held) as served:
        served.catch_up(0, 1)
        status, answer = await served.row("bob")
        assert (status, answer["found"]) == (503, "partition 2 not on this worker (here: 0, 1)")


async def test_a_deleted_row_is_absent(opened: Callable[..., LocalTable]) -> None:
    async with serving(opened()) as served:
        served.table.apply(0, [row(0, "ada", 1), gone(1, "ada")])
        served.catch_up(0, 1)
        assert (await served.row("ada"))[0] == 404


async def test_an_unknown_table_and_an_absent_key_are_different_errors(
    opened: Callable[..., LocalTable],
) -> None:
    async with serving(opened()) as served:
        served.catch_up(0, 1)
        status, answer = await served.row("ada", table="shop.products")
        assert (status, answer["type"], answer["found"]) == (404, "urn:larder:no-such-table", "shop.customers")


@pytest.mark.parametrize("key", ["a/b", "a b", "ä€", "..", ".", "a?b#c", "%41", "+", "a%2Fb", ""])
async def test_any_text_can_be_a_key(opened: Callable[..., LocalTable], key: str) -> None:
    async with serving(opened()) as served:
        served.table.apply(0, [row(0, key, 1, name="here")])
        status, answer = await served.row(key)
        assert (status, answer.get("key")) == (200, key)
        asked = await asyncio.to_thread(
            ask, LocalWorker("s", "w", 0, f"http://127.0.0.1:{served.port}"), row_path("shop.customers", key)
        )
        assert asked.body == answer


@pytest.mark.parametrize("encoded", ["%FF", "a%ff", "%C3"])
async def test_a_key_that_is_not_utf_8_is_a_mistake(opened: Callable[..., LocalTable], encoded: str) -> None:
    async with serving(opened()) as served:
        served.table.apply(0, [row(0, encoded, 1, name="here")])
        served.catch_up(0, 1)
        status, answer = await served.get(f"/tables/shop.customers/rows/{encoded}")
        assert status == 400
        assert (answer["declared"], answer["requires"]) == (f"key {encoded}", "UTF-8, percent-encoded")
        assert "can't decode byte" in answer["found"]


class Numbered(Row):
    number: int


class Identified(Row):
    id: uuid.UUID


class Hashed(Row):
    digest: bytes


SOME_ID = uuid.UUID("6f1b8a3c-0000-4000-8000-00000000abcd")


@pytest.mark.parametrize(
    ("topic", "key", "value", "text"),
    [
        (OwnerTopic("n", Numbered, key="number", key_type=int), (-5).to_bytes(8, "big", signed=True), -5, "-5"),
        (OwnerTopic("u", Identified, key="id", key_type=uuid.UUID), str(SOME_ID).encode(), str(SOME_ID), str(SOME_ID)),
        (
            OwnerTopic("b", Hashed, key="digest", key_type=bytes),
            b"\xff\xfe\x00",
            base64.b64encode(b"\xff\xfe\x00").decode(),
            "__4A",
        ),
    ],
)
async def test_keys_are_parsed_by_the_key_type_of_the_table(
    opened: Callable[..., LocalTable], topic: OwnerTopic, key: bytes, value: object, text: str
) -> None:
    import msgspec  # noqa: PLC0415

    async with serving(opened(topic)) as served:
        served.table.apply(0, [Sent(0, key, msgspec.json.encode({topic.key: value}))])
        status, answer = await served.row(text)
        assert (status, answer["row"], answer["revision"]) == (200, {topic.key: value}, None)


@pytest.mark.parametrize(
    ("topic", "text", "wanted"),
    [
        (OwnerTopic("n", Numbered, key="number", key_type=int), "five", "a whole number of 64 bits"),
        (OwnerTopic("n", Numbered, key="number", key_type=int), "1_0", "a whole number of 64 bits"),
        (OwnerTopic("n", Numbered, key="number", key_type=int), str(2**63), "a whole number of 64 bits"),
        (OwnerTopic("u", Identified, key="id", key_type=uuid.UUID), "no-uuid", "a UUID of 36 characters"),
        (OwnerTopic("b", Hashed, key="digest", key_type=bytes), "!!", "bytes in base64url"),
    ],
)
async def test_a_key_of_the_wrong_type_is_a_mistake_and_not_absent(
    opened: Callable[..., LocalTable], topic: OwnerTopic, text: str, wanted: str
) -> None:
    async with serving(opened(topic)) as served:
        served.catch_up(0, 1)
        status, answer = await served.row(text)
        assert (status, answer["type"], answer["declared"]) == (400, "urn:larder:mistake", f"key of {topic.name}")
        assert (answer["requires"], answer["found"], answer["do"]) == (wanted, repr(text), "write it that way")


async def test_the_port_reports_what_the_worker_is_doing(opened: Callable[..., LocalTable]) -> None:
    async with serving(opened()) as served:
        status, answer = await served.get("/services")
        assert (status, answer["service"]) == (200, "shipping")
        assert answer["workers"] == [{"worker": "one", "web": "", "partitions": {}, "standby": {}}]
        status, answer = await served.get("/nothing")
        assert (status, set(answer), answer["type"]) == (404, PROBLEM, "urn:larder:no-such-address")
        assert answer["requires"] == "an address and a method of this port"


async def test_a_port_in_use_is_reported_in_one_clear_line(opened: Callable[..., LocalTable]) -> None:
    async with serving(opened()) as served:
        app = make_app(sources())
        with pytest.raises(UnavailableError) as raised:
            await start_web(app, "127.0.0.1", served.port)
        assert str(raised.value).startswith(f"web port 127.0.0.1:{served.port}: requires an address of this machine")


async def test_the_requested_port_is_used() -> None:
    port = free_port()
    app = make_app(sources())
    assert await start_web(app, "127.0.0.1", port) == port
    await stop_web(app)
