"""What a worker tells of itself over HTTP, with real tables and without a broker; and the one table of metrics."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web
from prometheus_client.parser import text_string_to_metric_families

from larder import EventTopic, OwnerTopic, Row, Service
from larder.config.connection import Connection
from larder.counters.counts import Counts
from larder.counters.join_quality import QualityOfJoin
from larder.counters.operator_counts import DecideCounts, ReactionCounts
from larder.counters.traffic import Histogram
from larder.declaring.compiled.calls import compile_call
from larder.delivery.output import Output
from larder.group.peers import Peer
from larder.observability.health import STALL_SECONDS
from larder.observability.metrics.catalogue import BY_NAME, METRICS
from larder.observability.metrics.families import Families
from larder.observability.metrics.requests import ELSEWHERE
from larder.observability.observer import Observed, looked_at
from larder.operators.calls.breaker import OPENS_AT
from larder.queries.directory import Directory
from larder.types import Attempt
from larder.web import Sources, connection_slots, make_app, start_web, stop_web
from larder.web.routes import observability
from larder.worker.options import Options
from larder.worker.runner import ServiceRunner
from tests.larder.observability.test_growths import growth
from tests.larder.store.samples import customers, row, small_memory
from tests.support.described import require_described, require_refusals
from tests.support.later import require_retry_after
from tests.support.topics import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = 1_000_000.0


class Order(Row):
    order_id: str
    customer_id: str


class Joined(Order):
    customer: Row


async def charge(order: Order, attempt: Attempt) -> None:
    """Call nothing."""


class Seen:
    """The web port of a runner that has reached no broker."""

    def __init__(self, runner: ServiceRunner, observed: Observed, port: int) -> None:
        self.runner = runner
        self.observed = observed
        self.port = port
        self.web = f"http://127.0.0.1:{port}"

    @property
    def joined(self) -> QualityOfJoin:
        return self.runner.runtime.counts.of(self.runner.runtime.service.joins[0], QualityOfJoin)

    @property
    def table(self) -> Any:
        return self.runner.runtime.tables[customers.name]

    async def get(self, path: str) -> tuple[int, Any]:
        async with ClientSession() as session, session.get(f"{self.web}{path}") as answer:
            require_retry_after(answer.status, answer.headers)
            return answer.status, await answer.json()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def samples(self) -> dict[tuple[str, ...], float]:
        """GET /metrics: values by name and labels, in the order of the catalogue."""
        async with ClientSession() as session, session.get(f"{self.web}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = await answer.text()
        return {
            (sample.name, *sorted_labels(sample)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def sorted_labels(sample: Any) -> list[str]:
    metric = BY_NAME.get(sample.name)
    names = sorted(sample.labels) if metric is None else metric.labels
    return [sample.labels[name] for name in names]


@asynccontextmanager
async def seen(directory: Path, /, stall: float = STALL_SECONDS, **others: Any) -> AsyncIterator[Seen]:
    service = Service("shipping")
    held = service.global_table(customers)
    source, into = EventTopic("orders", Order, key="order_id"), EventTopic("joined", Order, key="order_id")
    service.join(source, held.on("customer_id"), into=into)
    service.call(source)(charge)
    memory = small_memory()
    runner = ServiceRunner(
        service, Options(Connection("nowhere:1"), directory, "one", 6, 1, 30, 0.2), memory, lambda: NOW
    )
    seen_of_it = Observed(runner, memory, lambda: NOW, stall=stall)
    app = make_app(Sources(runner.status, runner.runtime.tables, 6, bound="127.0.0.1", **others), seen_of_it)
    port = await start_web(app, "127.0.0.1", 0)
    try:
        yield Seen(runner, seen_of_it, port)
    finally:
        await stop_web(app)
        for table in runner.runtime.tables.values():
            table.close()


def applied(each: Seen) -> None:
    """Four records of two partitions come: two rows are new, one is stale, one rejected."""
    each.table.open([0, 1])
    each.table.apply(0, [row(0, "ada", 3), row(1, "ada", 2)], 2)
    each.table.apply(1, [row(7, "bob", 1), replace(row(8, "bob", 2), value=b"[]")], 9)


async def test_the_tables_of_a_worker_are_measured_as_they_are(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        applied(each)
        each.table.stored.observe(0, 12, NOW - 1)
        each.table.stored.observe(1, 9, NOW - 2)
        measured, name = await each.samples(), customers.name
        results = {key[2]: value for key, value in measured.items() if key[0] == "larder_table_records_total" and value}
        assert results == {"new": 2, "stale": 1, "rejected": 1}
        assert measured["larder_table_received_total", name, "0"] == 2
        assert measured["larder_table_batch_records_count", name] == 2
        assert measured["larder_table_batch_records_sum", name] == 4
        assert (measured["larder_table_lag", name, "0"], measured["larder_table_lag", name, "1"]) == (10, 0)
        assert (measured["larder_table_state", name, "0"], measured["larder_table_state", name, "1"]) == (2, 3)
        assert measured["larder_table_freshness_seconds", name, "1"] == 2
        assert ("larder_table_freshness_seconds", name, "0") not in measured, "its end was never met"
        assert (measured["larder_table_rows", name], measured["larder_table_parked_records", name]) == (2, 1)
        assert measured["larder_table_diverging", name] == 1
        assert measured["larder_write_buffer_bytes",] > 0
        assert measured["larder_worker_info", "shipping", "one"] == 1
        assert (measured["larder_live",], measured["larder_ready",]) == (1, 0)
        assert measured["process_resident_memory_bytes",] > 0


async def test_rows_that_a_join_asks_for_are_counted_as_hot_or_not_also_when_their_store_was_closed(
    tmp_path: Path,
) -> None:
    async with seen(tmp_path) as each:
        applied(each)
        for _ in range(3):
            each.table.at(0).raw_many([b"ada", b"bob"])
        each.table.at(0).raw_many([b"ada", b"nobody"])
        each.table.close()
        measured = await each.samples()
        assert measured["larder_table_hot_hits_total", customers.name] == 5
        assert measured["larder_table_hot_misses_total", customers.name] == 3


async def test_joins_and_outputs_are_measured_by_partition(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        each.joined.of(3).counts.hits += 5
        batch = Output("joined", 4, 1 << 20)
        each.runner.runtime.traffic.published[batch.topic, 2] += 7
        each.runner.runtime.traffic.commits.observe(0.004)
        measured = await each.samples()
        assert measured["larder_join_hits_total", "joined", "3"] == 5
        assert measured["larder_published_records_total", "joined", "2"] == 7
        assert measured["larder_commit_seconds_bucket", "0.005"] == 1
        assert measured["larder_commit_seconds_bucket", "0.002"] == 0
        status, answer = await each.get("/joins")
        assert (status, answer["joins"][0]["partitions"][0]["hits"]) == (200, 5)


async def test_joins_are_those_of_all_workers_and_who_does_not_answer_is_named(tmp_path: Path) -> None:
    peers: list[Peer] = []

    async def tell() -> list[Peer]:
        return peers

    async with (
        seen(tmp_path / "one", worker="one", directory=Directory(tell)) as one,
        seen(tmp_path / "two", worker="two", directory=Directory(tell)) as two,
    ):
        peers += [
            Peer("one", one.web, {}, {}),
            Peer("two", two.web, {}, {}),
            Peer("three", "http://127.0.0.1:1", {}, {}),
        ]
        one.joined.of(0).counts.hits += 5
        two.joined.of(1).counts.missing += 2
        for each in (one, two):
            status, answer = await each.get("/joins")
            (join,) = answer["joins"]
            assert (status, join["hits"], join["missing"], answer["silent"]) == (200, 5, 2, ["three"])
            assert [(it["partition"], it["worker"]) for it in join["partitions"]] == [(0, "one"), (1, "two")]
        (alone,) = (await two.get("/joins?local=1"))[1]["joins"]
        assert [each["worker"] for each in alone["partitions"]] == ["two"]


async def test_what_happens_seldom_is_measured_too(tmp_path: Path) -> None:
    service = Service("stock")
    reserve = service.decide((), state=service.table(OwnerTopic("reserve", Order, key="order_id")))
    reaction = service.on_change(service.table(customers))
    async with seen(tmp_path) as each:
        each.runner.runtime.traffic.rewinds += 2
        each.runner.runtime.counts = counts = Counts([reserve, reaction], ["orders.by.depot"])
        decided, reacted = counts.of(reserve, DecideCounts), counts.of(reaction, ReactionCounts)
        decided.decided, decided.refused = 3, 1
        reacted.changes, reacted.emitted = 6, 5
        counts.rekeyings["orders.by.depot"].dropped = 2
        each.table.counts.swept += 4
        measured = await each.samples()
        assert measured["larder_rewinds_total",] == 2
        assert measured["larder_table_swept_total", customers.name] == 4
        assert measured["larder_decide_total", "reserve", "decided"] == 3
        assert measured["larder_decide_total", "reserve", "refused"] == 1
        assert measured["larder_rekey_dropped_total", "orders.by.depot"] == 2
        assert measured["larder_reaction_total", customers.name, "emitted"] == 5


async def test_a_growth_is_measured_by_its_phase_and_while_it_copies_by_its_offsets(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        names = {"larder_growth_phase", "larder_growth_copied_offsets", "larder_growth_offsets_to_copy"}
        assert not {key for key in await each.samples() if key[0] in names}
        each.runner.growth = lambda: growth(copied=30, to_copy=60)  # type: ignore[method-assign]
        measured = await each.samples()
        phases = {key[1]: value for key, value in measured.items() if key[0] == "larder_growth_phase"}
        assert phases.pop("copying") == 1
        assert phases == dict.fromkeys(("pausing", "filling", "done", "cancelled", "refused"), 0)
        assert measured["larder_growth_copied_offsets",] == 30
        assert measured["larder_growth_offsets_to_copy",] == 60
        each.runner.growth = lambda: growth("filling")  # type: ignore[method-assign]
        assert {key[0] for key in await each.samples() if key[0] in names} == {"larder_growth_phase"}


async def test_a_worker_that_was_ready_stays_ready_though_nobody_asked(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        before = each.runner.vitals()
        well = before._replace(doing="running", joined=True, tables={})
        each.runner.vitals = lambda: well  # type: ignore[method-assign]
        async with looked_at(each.observed, asyncio.Event(), every=0.01):
            await asyncio.sleep(0.05)
        each.runner.vitals = lambda: well._replace(doing="being scaled to 6 partitions", joined=False)  # type: ignore[method-assign]
        status, answer = await each.get("/health/ready")
        assert (status, answer["ready"]) == (200, True)


async def test_requests_are_counted_by_their_route_and_never_by_what_was_asked_for(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        applied(each)
        for number in range(5):
            await each.get(f"/tables/{customers.name}/rows/nobody{number}")
            await each.get(f"/nowhere/{number}")
        measured = await each.samples()
        answers = {key[1:]: value for key, value in measured.items() if key[0] == "larder_http_requests_total"}
        assert answers == {("/tables/{table}/rows/{key}", "503"): 5, (ELSEWHERE, "404"): 5}
        assert measured["larder_http_request_seconds_count", ELSEWHERE] == 5
        assert ("larder_http_requests_total", "/metrics", "200") in await each.samples()


async def test_what_is_refused_before_it_is_a_request_is_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_web, "__defaults__", (2,))
    async with seen(tmp_path) as each:
        async with asyncio.timeout(5):
            reader, writer = await each.connect()
            writer.write(b"GET /?" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.read()
            writer.close()
            open_ones = [await each.connect() for _ in range(2)]
            refused, asking = await each.connect()
            asking.write(b"GET /tables HTTP/1.1\r\nHost: x\r\n\r\n")
            await refused.read()
            for _, writer in open_ones:
                writer.close()
        assert each.observed.requests.answers == {(ELSEWHERE, 414): 1, (ELSEWHERE, 503): 1}


async def test_health_answers_while_all_connections_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_web, "__defaults__", (3,))
    monkeypatch.setattr(connection_slots, "KEPT_FREE", 2)
    monkeypatch.setattr(connection_slots, "FIRST_SECONDS", 0.5)
    async with seen(tmp_path) as each, asyncio.timeout(20):
        open_ones = [await each.connect() for _ in range(5)]
        for reader, _ in open_ones[3:]:
            assert await reader.read() == b"", "a client that asks for nothing loses a place that is kept free"
        assert (await each.get("/health/live"))[0] == 200
        assert (await each.samples())["larder_live",] == 1
        assert (await each.get("/tables"))[1]["type"] == "urn:larder:too-busy"
        for _, writer in open_ones:
            writer.close()


async def test_a_stream_is_counted_and_its_length_is_not(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        requests = each.observed.requests

        async def stream(_: web.Request) -> web.Response:
            return web.Response(content_type="text/event-stream")

        app = web.Application(middlewares=[requests.middleware()])
        app.router.add_get("/stream", stream)
        request = await _asked(app, "/stream")
        assert request == 200
        assert requests.answers["/stream", 200] == 1
        assert "/stream" not in requests.seconds


async def _asked(app: web.Application, path: str) -> int:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{runner.addresses[0][1]}{path}") as found:
            return found.status
    finally:
        await runner.cleanup()


async def test_a_worker_that_has_reached_nothing_yet_lives_and_is_not_ready_and_says_why(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        assert await each.get("/health/live") == (
            200,
            {"live": True, "service": "shipping", "worker": "one", "phase": "starting", "reasons": [], "besides": []},
        )
        status, answer = await each.get("/health/ready")
        assert (status, answer["ready"]) == (503, False)
        assert answer["reasons"] == [
            {"table": customers.name, "why": "it has not been caught up since the worker started"},
            {"why": "the group has not been joined: starting"},
        ]


async def test_an_open_breaker_is_told_and_is_no_reason_for_a_restart(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        assert (await each.samples())["larder_call_breaker_open", "charge"] == 0
        compiled = compile_call(each.runner.runtime.service.calls[0])
        outside = each.runner.runtime.callers.of(compiled, Output("shipping.charge.outcomes", 1, 1 << 20))
        for number in range(OPENS_AT):
            outside.breaker.failed(f"c{number}", b"%d" % number, NOW + number, NOW)
        outside.seconds.observe(0.2)
        why = "what it calls is down: one call from time to time is tried, and 0 wait"
        status, answer = await each.get("/health/live")
        assert (status, answer["reasons"], answer["besides"]) == (200, [], [{"call": "charge", "why": why}])
        assert (await each.get("/health/ready"))[1]["besides"] == answer["besides"]
        measured = await each.samples()
        assert measured["larder_call_breaker_open", "charge"] == 1
        assert measured["larder_calls_total", "charge", "begun"] == 0
        assert measured["larder_calls_waiting", "charge"] == measured["larder_calls_hanging", "charge"] == 0
        assert measured["larder_call_seconds_count", "charge"] == 1


async def test_a_worker_looks_at_itself_and_notices_what_stands_still_though_nobody_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "larder")
    async with seen(tmp_path, stall=0.05) as each:
        applied(each)
        each.table.stored.observe(0, 12, NOW)

        def said(word: str) -> str | None:
            return next((each for each in caplog.messages if each.startswith(word)), None)

        async with looked_at(each.observed, asyncio.Event(), every=0.01):
            line = await until(lambda: said("not live"), 10, "a word about what stands still")
            assert line.startswith(f"not live: {customers.name}, partition 0: its position has not moved")
            each.table.apply(0, [row(2, "eve", 1)], 12)
            await until(lambda: said("live again"), 10, "a word that it goes on")


async def test_a_worker_that_cannot_look_at_itself_stops_and_says_why(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        each.runner.vitals = lambda: 1 // 0  # type: ignore[assignment]
        stop = asyncio.Event()
        with pytest.raises(ZeroDivisionError):
            async with looked_at(each.observed, stop), asyncio.timeout(10):
                await stop.wait()


async def test_a_table_that_was_caught_up_once_is_no_reason_not_to_be_ready_when_its_broker_goes(
    tmp_path: Path,
) -> None:
    async with seen(tmp_path) as each:
        applied(each)
        each.table.stored.observe(0, 2, NOW)
        assert not each.runner.vitals().tables[customers.name], "one of two partitions"
        each.table.stored.observe(1, 9, NOW)
        assert each.runner.vitals().tables[customers.name]
        each.table.state(0).disconnect()
        assert each.runner.vitals().tables[customers.name]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_named_as_prometheus_wants_it(metric: Any) -> None:
    assert re.fullmatch(r"larder(_[a-z]+)+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    if metric.kind == "histogram":
        assert metric.name.endswith(("_seconds", "_records"))
    assert metric.meaning
    assert not set(metric.labels) & {"key", "path", "offset", "reference"}


def test_names_are_there_once_and_only_those_of_the_table_can_be_given() -> None:
    assert len(BY_NAME) == len(METRICS)
    families = Families()
    with pytest.raises(KeyError):
        families.add("larder_invented_total", 1)
    with pytest.raises(KeyError):
        families.add("larder_commit_seconds", 1)


async def test_every_value_has_the_labels_of_the_table(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        applied(each)
        each.joined.of(0)
        await each.get("/health/live")
        for family in (await each.observed.measured()).collect():
            metric = BY_NAME.get(family.name) or BY_NAME[f"{family.name}_total"]
            for sample in family.samples:
                assert {*sample.labels} - {"le"} == {*metric.labels}, metric.name


def test_a_histogram_counts_what_is_up_to_each_bound() -> None:
    histogram = Histogram((1, 5))
    for value in (1, 2, 5, 6):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([1, 2, 1], 14)


async def test_what_a_worker_tells_of_itself_is_as_described(tmp_path: Path) -> None:
    async with seen(tmp_path) as each:
        for path, status in (("/joins", 200), ("/topology", 200), ("/health/live", 200), ("/health/ready", 503)):
            found, body = await each.get(path)
            assert found == status
            require_described(path, status, "application/json", body)
        async with ClientSession() as session, session.get(f"{each.web}/metrics") as answer:
            require_described("/metrics", answer.status, answer.content_type, await answer.text(), answer.headers)
        await require_refusals(each.port, observability.OPERATIONS)
