"""Any worker answers for any key: by one hop with a timeout, or from a copy if the owner is unreachable. Real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from larder.group.peers import Peer
from larder.store import Token
from larder.web.peers.client import HOP_SECONDS, HOPS, Hopping
from tests.larder.store.samples import customers
from tests.support.serving import Fleet, fleet

TABLE = customers.name
ADA = b'{"customer_id":"%s","name":"Ada","revision":1}'


def _row(key: str) -> bytes:
    return ADA.replace(b"%s", key.encode())


def _fill(workers: Fleet, *also: str) -> dict[str, int]:
    """Put forty rows into their partitions, and return the partition of each key."""
    placed = {str(key): workers.put(str(key), key, _row(str(key)), *also) for key in range(40)}
    workers.catch_up()
    return placed


async def test_three_workers_give_the_same_answer_for_every_key_and_name_its_owner(tmp_path: Path) -> None:
    shares = {"one": [0], "two": [1], "three": [2]}
    async with fleet(tmp_path, shares) as workers:
        placed = _fill(workers)
        owners = {partition: name for name, numbers in shares.items() for partition in numbers}
        for key, partition in placed.items():
            answers = [await workers[name].row(key) for name in shares]
            assert [status for status, _ in answers] == [200] * 3
            assert {body["worker"] for _, body in answers} == {owners[partition]}
            assert answers[0] == answers[1] == answers[2]
        for partition in range(3):
            absent = f"no-{workers.key_in(partition)}"
            assert {(await workers[name].row(absent))[0] for name in shares} == {404}
        rejected = workers.key_in(0) + "-rejected"
        partition = workers.put(rejected, 50, b"{}")
        workers.catch_up()
        for name in shares:
            status, answer = await workers[name].row(rejected)
            assert (status, answer["type"]) == (404, "urn:larder:unreadable-row")
            assert (answer["partition"], answer["offset"]) == (partition, 50)
            assert answer["cause"].startswith("the value requires the fields of Customer")


async def test_a_request_makes_at_most_one_hop(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        placed = _fill(workers)
        key = next(key for key, partition in placed.items() if partition == 1)
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows/{key}", **{"Larder-Hop": "1"})
        assert (status, answer["type"], answer["partition"]) == (503, "urn:larder:not-here", 1)
        assert (await workers["one"].row(key, query="?local=1"))[0] == 503
        # Each names the other as the owner: one hop, then an answer.
        one, two = workers.peers
        workers.peers = [one._replace(partitions={}), two._replace(web=workers["one"].web)]
        began = time.monotonic()
        status, answer = await workers["one"].row(key)
        assert (status, answer["type"], answer["partition"]) == (503, "urn:larder:unserved", 1)
        assert time.monotonic() - began < 3


async def test_no_key_is_called_absent_before_the_partition_count_is_known(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0]}) as workers:
        workers["one"].held.partition_count = 0
        for query, headers in (("", {}), ("?local=1", {}), ("", {"Larder-Hop": "1"})):
            status, answer = await workers["one"].get(f"/tables/{TABLE}/rows/nobody{query}", **headers)
            assert (status, answer["type"], answer["state"]) == (503, "urn:larder:recovering", "starting")


async def test_an_answer_that_contradicts_the_directory_refreshes_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1], "three": [2]}) as workers:
        placed = _fill(workers)
        key = next(key for key, partition in placed.items() if partition == 2)
        right, wrong = list(workers.peers), list(workers.peers)
        wrong[1] = wrong[1]._replace(partitions={TABLE: [1, 2]})
        wrong[2] = wrong[2]._replace(partitions={})
        workers.peers = wrong
        await workers["one"].get("/services")
        workers.peers = right
        status, answer = await workers["one"].row(key)
        assert (status, answer["worker"]) == (200, "three")


async def test_while_the_owner_is_away_a_copy_on_any_worker_answers_and_says_so(tmp_path: Path) -> None:
    shares, copies = {"one": [0], "two": [1], "three": [2]}, {"one": [2]}
    async with fleet(tmp_path, shares, copies) as workers:
        placed = _fill(workers, "one")
        key = next(key for key, partition in placed.items() if partition == 2)
        assert (await workers["one"].row(key))[1]["worker"] == "three", "the owner comes first"
        three = workers.peers[2]
        for web_address in ("http://127.0.0.1:1", ""):
            workers.peers[2] = three._replace(web=web_address)
            await asyncio.sleep(1.05)
            workers["one"].now += 3
            for name in ("one", "two"):
                status, answer = await workers[name].row(key)
                assert (status, answer["worker"], answer["state"]) == (200, "one", "standby")
                assert answer["freshness_s"] >= 3
                status, answer = await workers[name].row(f"no-{_sibling(workers, 2)}")
                assert (status, answer["type"]) == (503, "urn:larder:unserved" if name == "one" else answer["type"])


def _sibling(workers: Fleet, partition: int) -> str:
    from larder.kafka.partitioner import partition_of  # noqa: PLC0415

    return next(
        str(each) for each in range(1000) if partition_of(f"no-{each}".encode(), workers.partitions) == partition
    )


async def test_a_partition_without_a_worker_is_named_with_its_state(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        placed = _fill(workers)
        workers.peers[1] = workers.peers[1]._replace(partitions={})
        key = next(key for key, partition in placed.items() if partition == 1)
        status, answer = await workers["one"].row(key)
        assert (status, answer["type"]) == (503, "urn:larder:unserved")
        assert (answer["partition"], answer["state"]) == (1, "unserved")


async def test_a_recovering_owner_reports_its_progress_and_its_expected_end(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        placed = _fill(workers)
        two = workers["two"]
        key = f"no-{_sibling(workers, 1)}"
        two.table.state(1).remeasure()
        two.table.observe(1, 1_000, two.now)
        two.table.apply(1, [], 140)
        two.now += 10
        done = max(placed.values())
        assert done
        status, answer = await workers["one"].row(key)
        assert (status, answer["type"], answer["state"]) == (503, "urn:larder:recovering", "recovering")
        assert (answer["partition"], answer["position"], answer["end"]) == (1, 140, 1_000)
        passed = 140 - (max(int(each) for each, partition in placed.items() if partition == 1) + 1)
        assert answer["expected_end_s"] == pytest.approx(860 * 10 / passed, abs=0.1)


async def test_a_hanging_worker_delays_a_read_no_longer_than_the_deadline(tmp_path: Path) -> None:
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)
        writer.close()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        placed = _fill(workers)
        workers.peers[1] = workers.peers[1]._replace(web=f"http://127.0.0.1:{port}")
        key = next(key for key, partition in placed.items() if partition == 1)
        began = time.monotonic()
        status, _ = await workers["one"].row(key)
        assert (status, time.monotonic() - began < 4) == (503, True)
        began = time.monotonic()
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows")
        assert (status, answer["type"], answer["partitions"]) == (503, "urn:larder:unserved", [1])
        assert time.monotonic() - began < 6
    hanging.close()


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://127.0.0.1:1/x?", "http://u:p@127.0.0.1:1", "gopher://x"]
)
async def test_a_hop_goes_only_to_a_plain_http_address(tmp_path: Path, address: str) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        placed = _fill(workers)
        workers.peers[1] = workers.peers[1]._replace(web=address)
        key = next(key for key, partition in placed.items() if partition == 1)
        assert (await workers["one"].row(key))[1]["type"] == "urn:larder:unserved"


@asynccontextmanager
async def answering(**answer: Any) -> AsyncIterator[str]:
    """Yield the address of a worker that gives the same answer to every request."""

    async def same(_: web.Request) -> web.Response:
        return web.Response(**answer)

    app = web.Application()
    app.router.add_get("/{rest:.*}", same)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_redirect_by_another_worker_is_not_followed(tmp_path: Path) -> None:
    elsewhere = answering(status=302, headers={"Location": "http://127.0.0.1:1/secret"})
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers, elsewhere as address:
        placed = _fill(workers)
        workers.peers[1] = workers.peers[1]._replace(web=address)
        key = next(key for key, partition in placed.items() if partition == 1)
        status, answer = await workers["one"].row(key)
        assert (status, answer["type"]) == (503, "urn:larder:unserved")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, '{"type":"urn:larder:asleep","declared":"d","requires":"r","found":"f","do":"d"}', (500, "defect")),
        (503, "{}", (503, "unserved")),
        (503, "nonsense", (503, "unserved")),
        (200, "{}", (503, "unserved")),
        (200, "nonsense", (503, "unserved")),
    ],
)
async def test_a_nonsense_answer_of_another_worker_becomes_a_described_error(
    tmp_path: Path, status: int, body: str, expected: tuple[int, str]
) -> None:
    elsewhere = answering(status=status, text=body, content_type="application/json")
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers, elsewhere as address:
        _fill(workers)
        workers.peers[1] = workers.peers[1]._replace(web=address)
        found, answer = await workers["one"].get(f"/tables/{TABLE}/rows")
        assert (found, answer["type"]) == (expected[0], f"urn:larder:{expected[1]}")
        assert answer["declared"] != "a request", "the request is not at fault"
        found, answer = await workers["one"].get(f"/tables/{TABLE}")
        assert (found, [each["state"] for each in answer["partitions"]]) == (200, ["caught up", "no answer"])


def _to_be_written(workers: Fleet) -> tuple[str, str]:
    """Return a key of the second worker's partition, and the token of a write that has not arrived there yet."""
    topic_id, table = "11111111-1111-1111-1111-111111111111", workers["two"].table
    table.close()
    table.open([1], topic_id)
    workers.catch_up()
    return workers.key_in(1), Token(topic_id, {1: 5}).text()


async def test_a_read_with_a_token_waits_for_the_write_on_the_owner(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        key, token = _to_be_written(workers)
        reading = asyncio.create_task(workers["one"].row(key, query=f"?after={token}&within=5"))
        status, answer = await workers["one"].row(key, query=f"?after={token}&within=0.1")
        assert (status, answer["type"]) == (503, "urn:larder:behind")
        assert not reading.done()
        workers.put(key, 5, _row(key))
        workers.catch_up()
        status, answer = await reading
        assert (status, answer["offset"], answer["worker"]) == (200, 5, "two")
        status, answer = await workers["one"].row(key, query="?after=forged")
        assert (status, answer["type"]) == (400, "urn:larder:mistake")
        other = Token("22222222-2222-2222-2222-222222222222", {1: 5}).text()
        assert (await workers["one"].row(key, query=f"?after={other}"))[0] == 400


async def test_an_answer_older_than_the_requested_limit_is_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        _fill(workers)
        workers["two"].now += 5
        key = workers.key_in(1)
        assert (await workers["one"].row(key, query="?max_staleness=10"))[0] == 200
        status, answer = await workers["one"].row(key, query="?max_staleness=2")
        assert (status, answer["type"]) == (503, "urn:larder:too-stale")


async def test_each_worker_lists_all_workers_and_the_state_of_each_partition(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}, {"one": [1]}) as workers:
        _fill(workers, "one")
        _, services = await workers["one"].get("/services")
        assert [
            (each["worker"], each["partitions"][TABLE], each["standby"][TABLE]) for each in services["workers"]
        ] == [
            ("one", [0], [1]),
            ("two", [1], []),
        ]
        _, table = await workers["one"].get(f"/tables/{TABLE}")
        assert [(each["partition"], each["worker"], each["state"]) for each in table["partitions"]] == [
            (0, "one", "caught up"),
            (1, "two", "caught up"),
            (1, "one", "standby"),
        ]
        assert (table["rows"], table["key"], table["indexes"]) == (40, "customer_id", ["country"])
        fields = {each["name"]: (each["type"], each["required"], each["default"]) for each in table["fields"]}
        assert fields["country"] == ("str | None", False, None)
        assert fields["customer_id"] == ("str", True, None)
        workers.peers[1] = Peer("two", "http://127.0.0.1:1", {TABLE: [1]}, {})
        await asyncio.sleep(1.05)
        _, table = await workers["one"].get(f"/tables/{TABLE}")
        assert [(each["partition"], each["worker"], each["state"]) for each in table["partitions"]] == [
            (0, "one", "caught up"),
            (1, "two", "no answer"),
            (1, "one", "standby"),
        ]


async def test_the_overview_of_all_workers_comes_quickly_and_names_workers_without_an_answer(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1], "three": [2], "four": [3]}) as workers:
        one, two, three, four = workers.peers
        async with _hanging() as address:
            workers.peers = [one, two, three._replace(web=address), four._replace(web=two.web)]
            began = time.monotonic()
            _, overview = await workers["one"].get("/services?all=1")
            assert time.monotonic() - began < 2
        phases = {each["worker"]: each["phase"] for each in overview["workers"]}
        assert phases == {"one": "running", "two": "running", "three": "no answer", "four": "no answer"}
        said = {each["worker"]: each["told"] and each["told"]["worker"] for each in overview["workers"]}
        assert said == {"one": None, "two": "two", "three": None, "four": None}
        _, alone = await workers["one"].get("/services")
        assert all("told" not in each for each in alone["workers"])


@asynccontextmanager
async def _hanging() -> AsyncIterator[str]:
    """Yield the address of a server that accepts connections and never answers."""
    over = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        hanging.close()


@pytest.mark.parametrize("query", ["", "&index=country&value=AT", "&key={key}"], ids=["range", "index", "keys"])
async def test_a_list_with_a_token_waits_for_the_write_on_the_owner(tmp_path: Path, query: str) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        key, token = _to_be_written(workers)
        path = f"/tables/{TABLE}/rows?after={token}{query.format(key=key)}"
        for name in ("one", "two"):
            status, answer = await workers[name].get(f"{path}&within=0.1")
            assert (status, answer["type"], answer["partition"]) == (503, "urn:larder:behind", 1)
        reading = [asyncio.create_task(workers[name].get(f"{path}&within=5")) for name in ("one", "two")]
        done, _ = await asyncio.wait(reading, timeout=0.2)
        assert not done, "both wait"
        workers.put(key, 5, json.dumps({"customer_id": key, "country": "AT", "revision": 1}).encode())
        workers.catch_up()
        for status, answer in await asyncio.gather(*reading):
            assert (status, [each["offset"] for each in answer["rows"]]) == (200, [5])
        status, answer = await workers["one"].get(f"/tables/{TABLE}/rows?after=forged{query.format(key=key)}")
        assert (status, answer["type"]) == (400, "urn:larder:mistake")


async def test_requests_that_wait_for_a_write_on_another_worker_do_not_delay_lookups() -> None:
    waiting, arrived = asyncio.Event(), 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal arrived
        if request.path == "/waits":
            arrived += 1
            await waiting.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{any}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer, hops = Peer("two", f"http://127.0.0.1:{runner.addresses[0][1]}", {}, {}), Hopping()
    waits = [asyncio.create_task(hops.ask(peer, "/waits", HOP_SECONDS + 10)) for _ in range(2 * HOPS)]
    try:
        async with asyncio.timeout(10):
            while arrived < HOPS:  # noqa: ASYNC110 - on the other side
                await asyncio.sleep(0.01)
        assert (answered := await hops.ask(peer, "/looks-up")) is not None
        assert answered.status == 200
    finally:
        waiting.set()
        await asyncio.gather(*waits)
        await hops.close()
        await runner.cleanup()
