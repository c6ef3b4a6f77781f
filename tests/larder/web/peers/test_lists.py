"""Lists of rows over HTTP: of one worker, and of several that share the partitions. Real tables, real HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from larder import OwnerTopic
from larder import Row as TableRow
from larder.config.errors import MistakeError
from larder.kafka.partitioner import partition_of
from larder.local_tables.table import LocalTable
from larder.queries.cursors import cursor_text, read_cursor
from larder.queries.lists import SLICE_SECONDS, ListedRow, RowPage, page, selection
from larder.store import Table, Token
from larder.web.peers import lists
from larder.web.peers.lists import Gathered, merged
from tests.larder.store.samples import Customer, Sent, customers, gone, row, small_memory
from tests.support.serving import NOW, Fleet, Served, fleet, local_table, serving

TABLE = customers.name
SHARES = {"one": [0, 3], "two": [1], "three": [2]}
TOPIC_ID = str(UUID(int=1))
COUNTRIES = ("AT", "DE", "IT")


def _fill(workers: Fleet, count: int = 60) -> list[str]:
    keys = sorted(f"k{number:03}" for number in range(count))
    for number, key in enumerate(keys):
        value = {"customer_id": key, "country": COUNTRIES[number % 3], "revision": 1}
        workers.put(key, number, json.dumps(value).encode())
    workers.catch_up()
    return keys


async def _all(served: Served, path: str, **query: Any) -> list[str]:
    """Return the keys of all pages of a list."""
    keys: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(100):
        status, answer = await served.get(f"{path}?{urlencode({**query, **cursor})}")
        assert status == 200, answer
        assert len(answer["rows"]) <= int(query.get("limit", 100))
        keys += [each["key"] for each in answer["rows"]]
        if answer["next"] is None:
            return keys
        assert answer["rows"], "only the last page may be empty"
        cursor = {"cursor": answer["next"]}
    raise AssertionError(keys)


async def test_every_worker_lists_all_rows_in_key_order_page_by_page(tmp_path: Path) -> None:
    async with fleet(tmp_path, SHARES) as workers:
        keys = _fill(workers)
        path = f"/tables/{TABLE}/rows"
        for name in SHARES:
            assert await _all(workers[name], path) == keys
            assert await _all(workers[name], path, limit=7) == keys
            assert await _all(workers[name], path, prefix="k01", limit=3) == keys[10:20]
            assert await _all(workers[name], path, **{"from": "k055"}) == keys[55:]
            assert await _all(workers[name], path, **{"from": "k003", "to": "k009", "limit": 2}) == keys[3:9]
            assert await _all(workers[name], path, index="country", value="DE", limit=4) == keys[1::3]
        _, answer = await workers["two"].get(path)
        assert [(each["partition"], each["worker"]) for each in answer["partitions"]] == [
            (0, "one"), (1, "two"), (2, "three"), (3, "one"),
        ]  # fmt: skip
        first = answer["rows"][0]
        assert (first["row"]["customer_id"], first["revision"], first["offset"]) == (keys[0], 1, 0)
        _, here = await workers["two"].get(f"{path}?local=1&partition=1")
        assert 0 < len(here["rows"]) < len(keys)


async def test_workers_build_their_parts_of_a_list_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = asyncio.Barrier(2)

    async def together(*asked: Any) -> RowPage:
        async with asyncio.timeout(1):
            await both.wait()
        return await page(*asked)

    monkeypatch.setattr(lists, "page", together)
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        keys = _fill(workers)
        assert await _all(workers["one"], f"/tables/{TABLE}/rows") == keys


async def test_many_keys_are_answered_in_the_requested_order_with_null_for_absent_ones(tmp_path: Path) -> None:
    async with fleet(tmp_path, SHARES) as workers:
        keys = _fill(workers)
        wanted = [keys[40], "nobody", keys[2], keys[40], "", keys[17]]
        query = "&".join(f"key={quote(key)}" for key in wanted)
        for name in SHARES:
            status, answer = await workers[name].get(f"/tables/{TABLE}/rows?{query}")
            assert status == 200
            assert [each["key"] for each in answer["rows"]] == wanted
            assert [each["row"] and each["row"]["customer_id"] for each in answer["rows"]] == [
                keys[40], None, keys[2], keys[40], None, keys[17],
            ]  # fmt: skip
        older, none = keys[40], f"{keys[2]}-new"
        for number, key in enumerate((older, none)):
            workers.put(key, 1_000 + number, b"{}")
        workers.catch_up()
        for name in SHARES:
            _, answer = await workers[name].get(f"/tables/{TABLE}/rows?key={older}&key={none}&key=nobody&key={keys[2]}")
            first, second, *others = answer["rows"]
            assert (first["row"]["customer_id"], second["row"]) == (older, None)
            for offset, (key, entry) in enumerate(((older, first), (none, second)), 1_000):
                place = partition_of(key.encode(), workers.partitions)
                assert entry["rejected"].pop("cause").startswith("the value requires the fields of Customer")
                assert entry["rejected"] == {"at": f"{TABLE}/{place}/{offset}", "partition": place, "offset": offset}
            assert [each.get("rejected") for each in others] == [None, None]
            _, row = await workers[name].row(older)
            assert (row["row"]["customer_id"], row["rejected"]["offset"]) == (older, 1_000)
            _, answer = await workers[name].get(f"/tables/{TABLE}/rows?prefix={older}")
            assert answer["rows"][0]["rejected"]["offset"] == 1_000
            assert sum(each["unreadable"] for each in answer["partitions"]) == 2
        every = "&".join(f"key={key}" for key in keys * 16)
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows?{every}")
        assert (status, len(answer["rows"])) == (200, 960)


async def test_keys_that_take_several_requests_to_a_worker_list_all_of_its_partitions(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1, 2]}) as workers:
        workers.catch_up()
        query = "&".join(f"key={number:0100}" for number in range(600))
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows?{query}")
        assert status == 200
        assert [(each["partition"], each["worker"]) for each in answer["partitions"]] == [
            (0, "one"), (1, "two"), (2, "two"),
        ]  # fmt: skip


async def test_an_unknown_key_among_many_is_not_called_absent(tmp_path: Path) -> None:
    async with fleet(tmp_path, SHARES) as workers:
        _fill(workers)
        partition = workers.put("late", 99, b"{}")
        owner = next(name for name, numbers in SHARES.items() if partition in numbers)
        workers[owner].table.state(partition).remeasure()
        workers[owner].table.observe(partition, 1_000, NOW)
        for name in SHARES:
            status, answer = await workers[name].get(f"/tables/{TABLE}/rows?key=late")
            assert (status, answer["type"], answer["partition"]) == (503, "urn:larder:recovering", partition)


async def test_a_list_without_a_partition_is_an_error_that_names_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, SHARES) as workers:
        _fill(workers)
        workers.peers = [
            peer._replace(web="http://127.0.0.1:1") if peer.worker == "three" else peer for peer in workers.peers
        ]
        for path in (f"/tables/{TABLE}/rows", f"/tables/{TABLE}/rows?index=country&value=AT"):
            status, answer = await workers["one"].get(path)
            assert (status, answer["type"], answer["partition"]) == (503, "urn:larder:unserved", 2)
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows?partition=0&partition=1")
        assert (status, [each["partition"] for each in answer["partitions"]]) == (200, [0, 1])


async def test_a_partition_that_never_caught_up_is_not_listed_and_a_disconnected_one_reports_its_age(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, {"one": [0]}) as workers:
        workers.put("a", 0, b'{"customer_id":"a","revision":1}')
        served = workers["one"]
        served.table.observe(0, 50, NOW)
        status, answer = await served.get(f"/tables/{TABLE}/rows")
        assert (status, answer["type"], answer["state"]) == (503, "urn:larder:recovering", "recovering")
        served.table.apply(0, [], 50)
        served.table.state(0).disconnect()
        served.now += 100
        status, answer = await served.get(f"/tables/{TABLE}/rows")
        assert (status, answer["partitions"][0]["state"], answer["partitions"][0]["freshness_s"]) == (
            200, "disconnected", 100,
        )  # fmt: skip
        status, answer = await served.get(f"/tables/{TABLE}/rows?max_staleness=50")
        assert (status, answer["type"]) == (503, "urn:larder:too-stale")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=0", "'0'"),
        ("limit=1001", "'1001'"),
        ("limit=99999999999999999999999", "'99999999999999999999999'"),
        ("limit=1&limit=2", "2"),
        ("limit=٣", "'٣'"),
        ("prefx=a", "none of them"),
        ("index=name&value=x", "country"),
        ("value=AT", "none"),
        ("index=country", "none"),
        ("index=country&value=AT&value=DE", "2"),
        ("index=country&value=AT&prefix=a", "a prefix or an end of a range"),
        ("key=a&prefix=b", "prefix"),
        ("key=a&cursor=b", "cursor"),
        ("partition=2", "'2'"),
        ("partition=-1", "'-1'"),
        ("max_staleness=nan", "'nan'"),
        ("max_staleness=-1", "'-1'"),
        ("cursor=e30", "another text"),
        ("cursor=%00", "another text"),
        ("cursor=" + "A" * 9000, "another text"),
    ],
)
async def test_an_invalid_query_is_refused_with_the_reason(held: LocalTable, query: str, found: str) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        status, answer = await served.get(f"/tables/{TABLE}/rows?{quote(query, safe='=&%')}")
        assert (status, answer["type"], answer["found"]) == (400, "urn:larder:mistake", found)


async def test_empty_form_fields_count_as_absent(held: LocalTable) -> None:
    async with serving(held) as served:
        served.table.apply(0, [row(0, "ada", 1, country="AT")])
        served.catch_up(0, 1)
        status, answer = await served.get(f"/tables/{TABLE}/rows?prefix=&from=&to=&index=&value=&cursor=&limit=")
        assert (status, [each["key"] for each in answer["rows"]]) == (200, ["ada"])


async def test_a_partition_that_is_not_far_enough_is_named_with_its_position(tmp_path: Path) -> None:
    plain = OwnerTopic(TABLE, Customer, key="customer_id", revision="revision")
    indexed = OwnerTopic(TABLE, Customer, key="customer_id", revision="revision", indexes=["country"])
    table = Table(plain, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), TOPIC_ID)
    table.apply(0, [row(number, f"k{number}", 1, country="AT") for number in range(9)])
    table.close()
    table = Table(indexed, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), TOPIC_ID)
    async with serving(local_table(table, 2)) as served:
        served.catch_up(0, 1)
        status, answer = await served.get(f"/tables/{TABLE}/rows?index=country&value=AT")
        assert (status, answer["type"]) == (503, "urn:larder:recovering")
        assert (answer["partition"], answer["state"], answer["position"]) == (0, "building", 9)
        served.now += 100
        status, answer = await served.get(f"/tables/{TABLE}/rows?max_staleness=50")
        assert (status, answer["type"]) == (503, "urn:larder:too-stale")
        assert (answer["partition"], answer["state"], answer["freshness_s"]) == (0, "caught up", 100)
        token = Token(TOPIC_ID, {1: 5}).text()
        status, answer = await served.row("k1", query=f"?after={token}&within=0")
        assert (status, answer["type"]) == (503, "urn:larder:behind")
        assert (answer["partition"], answer["state"], answer["position"], answer["end"]) == (1, "caught up", 0, 0)
    table.close()


@pytest.mark.parametrize("query", ["", "&index=country&value=AT", "&limit=1"])
async def test_a_list_of_some_partitions_of_a_global_table_has_only_their_rows(held: LocalTable, query: str) -> None:
    async with serving(held) as served:
        served.table.apply(0, [row(0, "ada", 1, country="AT"), row(1, "cid", 1, country="AT")])
        served.table.apply(1, [row(0, "bob", 1, country="AT"), row(1, "dan", 1, country="AT")])
        served.catch_up(0, 1)
        path = f"/tables/{TABLE}/rows?partition=0{query}"
        _, answer = await served.get(path)
        found = [each["key"] for each in answer["rows"]]
        if answer["next"]:
            _, rest = await served.get(f"{path}&cursor={answer['next']}")
            found += [each["key"] for each in rest["rows"]]
            assert rest["next"] is None
        assert found == ["ada", "cid"]
        assert {each["partition"] for each in answer["partitions"]} == {0}


async def test_a_cursor_is_valid_only_for_its_own_list(held: LocalTable) -> None:
    async with serving(held) as served:
        served.table.apply(0, [row(number, f"k{number}", 1) for number in range(5)])
        served.catch_up(0, 1)
        _, answer = await served.get(f"/tables/{TABLE}/rows?limit=2&prefix=k")
        assert (await served.get(f"/tables/{TABLE}/rows?limit=3&prefix=k&cursor={answer['next']}"))[0] == 200
        for other in ("", "&prefix=k1", "&from=k0"):
            status, refused = await served.get(f"/tables/{TABLE}/rows?limit=2{other}&cursor={answer['next']}")
            assert (status, refused["found"]) == (400, "one of another list")
        selected = selection(held, prefix="k", from_=None, to=None, index=None, value=None)
        outside = cursor_text(selected.mark(TABLE), b"z")
        assert (await served.get(f"/tables/{TABLE}/rows?prefix=k&cursor={outside}"))[0] == 400


@given(st.binary(max_size=60), st.text(max_size=10))
def test_a_cursor_contains_its_key_and_any_other_text_is_refused(key: bytes, noise: str) -> None:
    text = cursor_text("mark", key)
    assert read_cursor(text, "mark") == key
    for forged in (text + noise, noise + text, noise, text[:-1], base64.b64encode(noise.encode()).decode()):
        if forged != text:
            with pytest.raises(MistakeError):
                read_cursor(forged, "mark")


class Numbered(TableRow):
    number: int


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_number_keys_are_listed_in_numeric_order(tmp_path: Path, limit: int) -> None:
    topic = OwnerTopic("n", Numbered, key="number", key_type=int)
    numbers = [-(2**63), -70, -5, -1, 0, 3, 5, 2**63 - 1]
    async with fleet(tmp_path, {"one": [0], "two": [1]}, topic=topic) as workers:
        from larder.kafka.partitioner import partition_of  # noqa: PLC0415

        for at, number in enumerate(numbers):
            key = number.to_bytes(8, "big", signed=True)
            partition = partition_of(key, 2)
            value = json.dumps({"number": number}).encode()
            workers["one" if partition == 0 else "two"].table.apply(partition, [Sent(at, key, value)])
        workers.catch_up()
        for name in ("one", "two"):
            assert await _all(workers[name], "/tables/n/rows", limit=limit) == [str(number) for number in numbers]
            found = await _all(workers[name], "/tables/n/rows", limit=limit, **{"from": -5, "to": 5})
            assert found == ["-5", "-1", "0", "3"]


async def test_a_page_ends_early_when_its_rows_are_large(held: LocalTable) -> None:
    async with serving(held) as served:
        large = "x" * 1_500_000
        for number in range(6):
            served.table.apply(0, [row(number, f"k{number}", 1, name=large)])
        served.catch_up(0, 1)
        _, answer = await served.get(f"/tables/{TABLE}/rows")
        assert len(answer["rows"]) == 2
        assert await _all(served, f"/tables/{TABLE}/rows") == [f"k{number}" for number in range(6)]
        for number in range(6, 12):
            served.table.apply(0, [row(number, f"k{number}", 1, name=large)])
        served.catch_up(0, 1)
        query = "&".join(f"key=k{number}" for number in range(12))
        status, answer = await served.get(f"/tables/{TABLE}/rows?{query}")
        assert (status, answer["do"]) == (400, "ask for fewer")


async def test_a_list_without_any_row_still_yields_to_the_event_loop(held: LocalTable) -> None:
    """The list scans forty thousand deleted rows."""
    count = 40_000
    for begin in range(0, count, 4_000):
        keys = range(begin, begin + 4_000)
        held.stored.apply(0, [row(each, f"k{each:06}", 1) for each in keys])
    for begin in range(0, count, 4_000):
        held.stored.apply(0, [gone(count + each, f"k{each:06}") for each in range(begin, begin + 4_000)])
    held.stored.observe(0, held.position(0), NOW)
    selected = selection(held, prefix=None, from_=None, to=None, index=None, value=None)
    gaps: list[float] = []

    async def feel() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    feeling = asyncio.create_task(feel())
    await asyncio.sleep(0)
    gaps.clear()
    assert (await page(held, selected, [0, 1], 10, None)).rows == []
    feeling.cancel()
    assert len(gaps) > 2, "the scan yielded several times"
    assert sorted(gaps)[len(gaps) // 2] < 4 * SLICE_SECONDS


@st.composite
def _pages(draw: st.DrawFn) -> tuple[list[list[bytes]], int]:
    keys = draw(st.lists(st.binary(min_size=1, max_size=3), unique=True, max_size=30))
    owners = draw(st.lists(st.integers(0, 2), min_size=len(keys), max_size=len(keys)))
    shares: list[list[bytes]] = [[], [], []]
    for key, owner in zip(keys, owners, strict=True):
        shares[owner].append(key)
    return [sorted(share) for share in shares], draw(st.integers(1, 7))


@given(_pages(), st.data())
@settings(max_examples=200)
def test_merged_pages_of_any_length_have_every_key_once(
    drawn: tuple[list[list[bytes]], int], data: st.DataObject
) -> None:
    shares, limit = drawn
    after, found = b"", list[bytes]()
    for _ in range(200):
        pages = []
        for share in shares:
            left = [key for key in share if key > after]
            size = data.draw(st.integers(1, limit))
            pages.append(Gathered([ListedRow(key, {}) for key in left[:size]], len(left) > size, []))
        together = merged(pages, limit, bytes)
        found += [each.key for each in together.rows]
        if not together.more:
            break
        assert together.rows
        after = found[-1]
    assert found == sorted(key for share in shares for key in share)


async def test_a_list_above_the_limit_of_concurrent_lists_is_refused(held: LocalTable) -> None:
    from larder.web.scan_slots import ScanSlots  # noqa: PLC0415

    async with serving(held, slots=ScanSlots(0)) as served:
        served.catch_up(0, 1)
        status, answer = await served.get(f"/tables/{TABLE}/rows")
        assert (status, answer["type"]) == (503, "urn:larder:too-busy")
        assert (await served.row("nobody"))[0] == 404, "the limit does not apply to single rows"


async def test_a_worker_at_its_limit_of_lists_still_serves_its_parts_to_other_workers(held: LocalTable) -> None:
    from larder.web.scan_slots import ScanSlots  # noqa: PLC0415

    async with serving(held, slots=ScanSlots(0)) as served:
        served.catch_up(0, 1)
        assert (await served.get(f"/tables/{TABLE}/rows"))[0] == 503
        assert (await served.get(f"/tables/{TABLE}/rows", **{"Larder-Hop": "1"}))[0] == 200
