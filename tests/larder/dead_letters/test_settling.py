"""Dead letters listed, replayed and discarded on a real broker: each once, whoever does it and however it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from msgspec import structs

from larder import EventTopic, OwnerTopic, Row, Service
from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.dead_letters import rounds, shelves
from larder.dead_letters.choosing import Chosen
from larder.dead_letters.letters import How, Letter, Name, Settlement, letter_id
from larder.dead_letters.outcome import SettlingOutcome
from larder.dead_letters.reading import letter, list_letters, survey_letters, tally_letters
from larder.dead_letters.sending import Outgoing
from larder.dead_letters.settling import settle
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import dead_letter, fitting, settling_id
from larder.declaring.facts import growth_name
from larder.declaring.generations import Generation
from larder.declaring.growth import Growth, GrowthPhase
from larder.kafka.clients import end_transaction
from larder.kafka.partitioner import partition_of
from larder.kafka.readers import Span, reader, spans
from larder.kafka.transactions import TransactionalProducer
from larder.pages.troubles import troubles
from larder.web import unsettled
from larder.worker.growth_log import write_growth, write_record
from tests.support.serving import STATUS, serving_from, sources
from tests.support.topics import COMPACTED, Sent, configure, create, read, send, until
from tests.support.workers import ROOT

PARTITIONS = 3

EARLIER = (int(time.time()) - 7_200) * 1_000
"""Two hours ago: a broker deletes records by their timestamps."""


class Order(Row):
    order_id: str
    customer_id: str


class Customer(Row):
    customer_id: str
    orders: int = 0
    revision: int = 0


def declared(prefix: str, *, key: str = "order_id", by: str = "") -> Service:
    """A service with the steps `join j` on its orders and `decide d` on these, or on these by a field."""
    service, orders = Service(prefix), EventTopic(f"{prefix}.orders", Order, key=key, key_is="customer_id")
    customers = service.global_table(OwnerTopic(f"{prefix}.customers", Customer, key="customer_id", owner="crm"))
    service.join(orders, customers.on("customer_id"), into=EventTopic("j", Order, key="order_id"))
    counted = service.table(OwnerTopic("d", Customer, key="customer_id", revision="revision"))
    service.fold(orders.by(by) if by else orders, state=counted)(
        lambda order, _: Customer(customer_id=order.customer_id)
    )
    return service


class Shop:
    """A topic of orders, and dead letters of some of them."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka = kafka
        self.service = prefix
        self.declared = declared(prefix)
        self.orders = f"{prefix}.orders"
        self.letters = f"{prefix}.dead-letters"

    async def park(self, records: Iterable[Sent], cause: str = "no customer", largest: int = 1_000_000) -> list[str]:
        """Send orders, and letters of all that have none yet, as a worker would; answers the letters' ids."""
        await send(self.kafka, self.orders, records)
        known = {each.key for each in await read(self.kafka, self.letters)}
        letters = []
        for record in sorted(await self.read(), key=lambda each: each.timestamp):
            whole = dead_letter(self.service, self.orders, record.partition, record, cause)
            if whole.key not in known:
                parked = fitting(whole, largest)
                letters.append(Sent(parked.key, parked.value, record.partition % 2, parked.headers))
        await send(self.kafka, self.letters, letters)
        return [str(each.key, "ascii") for each in letters if isinstance(each.key, bytes)]

    async def read(self) -> list[ConsumerRecord]:
        await self._ended(self.orders, PARTITIONS)
        return await read(self.kafka, self.orders)

    async def _ended(self, topic: str, partitions: int) -> None:
        """Wait until the broker has ended all transactions: whoever commits one does not."""
        tps = [TopicPartition(topic, partition) for partition in range(partitions)]

        async def ended() -> bool:
            async with (
                reader(Connection(self.kafka)) as committed,
                reader(Connection(self.kafka), "read_uncommitted") as uncommitted,
            ):
                return await spans(committed, tps) == await spans(uncommitted, tps)

        await until(ended, 20, f"transactions of {topic} to end")

    async def replayed(self) -> list[str]:
        """The ids of the letters of all records that were replayed."""
        headers = [dict(record.headers) for record in await self.read()]
        return sorted(each["larder.replayed"].decode() for each in headers if "larder.replayed" in each)

    async def grown(self, *generations: Generation) -> None:
        """Write down the generations of the service, as its workers would."""
        await create(self.kafka, {growth_name(self.service): 1}, COMPACTED)
        written = [(b"%d" % each.number, each.encode()) for each in generations]
        await write_growth(Connection(self.kafka), self.service, written)

    async def listed(self) -> list[str]:
        await self._ended(self.letters, 2)
        page = await list_letters(Connection(self.kafka), self.service, 1_000)
        assert page.next is None
        return sorted(str(each.id) for each in page.letters)


@pytest.fixture
async def shop(kafka: str, prefix: str) -> Shop:
    shop = Shop(kafka, prefix)
    await create(kafka, {shop.orders: PARTITIONS})
    await create(kafka, {shop.letters: 2}, {"message.timestamp.type": "LogAppendTime"})
    return shop


def some(count: int) -> list[Sent]:
    return [Sent(f"o{number}", {"id": number}, number % PARTITIONS, [("trace", b"\xff")], EARLIER + number)
            for number in range(count)]  # fmt: skip


def named(found: Mapping[Name, Any]) -> dict[str, Any]:
    return {str(name): what for name, what in found.items()}


def of(*ids: str) -> Chosen:
    return Chosen(frozenset(map(letter_id, ids)))


@asynccontextmanager
async def replay_that_waits(shop: Shop) -> AsyncIterator[asyncio.Task[SettlingOutcome]]:
    """Begin to republish all letters; before the first transaction commits, wait until the block ends."""
    send_, waits, goes_on = rounds.send, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: object) -> list[int]:
        offsets: list[int] = await send_(*arguments)  # type: ignore[arg-type]
        waits.set()
        await goes_on.wait()
        return offsets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "send", slow)
        replay = asyncio.create_task(settle(Connection(shop.kafka), shop.declared, "republished", Chosen()))
        await waits.wait()
    try:
        yield replay
    finally:
        goes_on.set()


async def test_a_replayed_record_is_unchanged_and_marked_as_replayed(shop: Shop) -> None:
    (id_,) = await shop.park(some(1))
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", of(id_))
    assert list(named(outcome.settled)) == [id_], outcome
    before, after = await shop.read()
    assert (after.key, after.value, after.partition, after.timestamp) == (
        before.key, before.value, before.partition, before.timestamp,
    )  # fmt: skip
    assert list(after.headers) == [*before.headers, ("larder.replayed", id_.encode())]
    assert named(outcome.settled) == {id_: f"{shop.orders}/{after.partition}/{after.offset}"}
    assert await shop.listed() == []
    found = await letter(Connection(shop.kafka), shop.service, letter_id(id_))
    assert found is not None
    whole, settlement = found
    assert whole.value == before.value
    assert settlement is not None
    assert (settlement.how, settlement.replayed_as) == ("republished", named(outcome.settled)[id_])


async def test_only_the_steps_that_failed_get_a_record_again(shop: Shop) -> None:
    (id_,) = await shop.park(some(1))
    (order,) = await shop.read()
    again = f"{shop.orders}.replays"
    steps = ("join j", "decide d")
    whole = [dead_letter(shop.service, shop.orders, order.partition, order, "no", step) for step in steps]
    await send(shop.kafka, shop.letters, [Sent(each.key, each.value, 0, each.headers) for each in whole])
    early = await settle(Connection(shop.kafka), shop.declared, "replayed", Chosen())
    assert "a letter that names none; --republish publishes it for all readers" in named(early.left)[id_]
    assert f"requires {again}, which the workers of {shop.service} create" in named(early.left)[f"{id_} of join j"]
    await create(shop.kafka, {again: PARTITIONS})
    outcome = await settle(Connection(shop.kafka), shop.declared, "replayed", Chosen(cause="no"))
    ids = [f"{id_} of {step}" for step in steps]
    assert sorted(named(outcome.settled)) == sorted(ids)
    sent = await read(shop.kafka, again)
    assert {dict(each.headers)["larder.step"] for each in sent} == {b"join j", b"decide d"}
    for each in sent:
        assert (each.key, each.value, each.partition, each.timestamp) == (
            order.key, order.value, order.partition, order.timestamp,
        )  # fmt: skip
        kept = {name: value for name, value in each.headers if name != "larder.step"}
        assert kept == {"trace": b"\xff", "larder.replayed": id_.encode(), "larder.attempt": b"1"}
    assert [each.offset for each in await shop.read()] == [order.offset]
    # One of them parks it again: that is another letter, and can be replayed once more.
    parked = dead_letter(shop.service, shop.orders, order.partition, sent[0], "no", "join j")
    key = Sent(id_.encode(), parked.value, 0, parked.headers)
    await send(shop.kafka, shop.letters, [key, key])
    outcome = await settle(Connection(shop.kafka), shop.declared, "replayed", Chosen(cause="no"))
    assert list(named(outcome.settled)) == [f"{id_} of join j"]
    assert dict((await read(shop.kafka, again))[-1].headers)["larder.attempt"] in {b"1", b"2"}
    assert await shop.listed() == [id_]
    await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen())


async def test_a_letter_of_before_a_service_was_scaled_goes_to_the_partition_of_its_key_today(shop: Shop) -> None:
    shop.declared = declared(shop.service, key="customer_id")
    ids = await shop.park([Sent(f"o{each}", {"order_id": "o", "customer_id": f"c{each}"}, 0) for each in range(9)])
    orders = {f"{shop.orders}/{each.partition}/{each.offset}": each for each in await shop.read()}
    letters = [dead_letter(shop.service, shop.orders, 0, orders[id_], "no", "decide d") for id_ in ids]
    await send(shop.kafka, shop.letters, [Sent(each.key, each.value, 0, each.headers) for each in letters])
    counts = {shop.orders: 5, "d": 5}
    await shop.grown(Generation(1, counts, {shop.orders: "id", "d": "id"}), Generation(2, counts, {}))
    again = f"{shop.service}.{shop.orders}.by.customer_id.g2.replays"
    await create(shop.kafka, {again: 5, f"{shop.orders}.replays": PARTITIONS})
    outcome = await settle(Connection(shop.kafka), shop.declared, "replayed", Chosen(cause="no"))
    assert sorted(named(outcome.settled)) == sorted(f"{id_} of decide d" for id_ in ids), outcome.left
    sent = await read(shop.kafka, again)
    assert sorted(dict(each.headers)["larder.replayed"].decode() for each in sent) == sorted(ids)
    assert all(each.partition == partition_of(f"c{(each.key or b'').decode()[1:]}".encode(), 5) for each in sent)
    assert await read(shop.kafka, f"{shop.orders}.replays") == []


async def test_a_letter_is_not_republished_to_a_topic_that_its_service_has_left(shop: Shop) -> None:
    shop.declared = declared(shop.service, by="customer_id")
    rekeyed = f"{shop.service}.{shop.orders}.by.customer_id"
    await create(shop.kafka, {rekeyed: PARTITIONS, f"{rekeyed}.replays": PARTITIONS})
    await send(shop.kafka, rekeyed, [Sent("o1", {"order_id": "o1", "customer_id": "c1"}, 0)])
    (order,) = await read(shop.kafka, rekeyed)
    letters = [dead_letter(shop.service, rekeyed, 0, order, "no", step) for step in ("decide d", "decide gone")]
    await send(shop.kafka, shop.letters, [Sent(each.key, each.value, 0, each.headers) for each in letters])
    counts = {rekeyed: 3, "d": 3}
    await shop.grown(Generation(1, counts, {"d": "id"}), Generation(2, counts, {}))
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert len(outcome.left) == 2
    assert all("has left when it was scaled" in each for each in named(outcome.left).values())
    outcome = await settle(Connection(shop.kafka), shop.declared, "replayed", Chosen())
    left = named(outcome.left)
    assert f"requires {rekeyed}.g2.replays, which the workers of" in left[f"{rekeyed}/0/0 of decide d"]
    assert "requires the step 'decide gone'" in left[f"{rekeyed}/0/0 of decide gone"]
    assert (len(left), len(await read(shop.kafka, rekeyed)), await read(shop.kafka, f"{rekeyed}.replays")) == (2, 1, [])


@pytest.mark.parametrize("phase", [GrowthPhase.PAUSING, GrowthPhase.COPYING])
@pytest.mark.parametrize("how", ["replayed", "republished"])
async def test_no_letter_is_replayed_while_its_service_is_being_scaled(
    shop: Shop, phase: GrowthPhase, how: How
) -> None:
    (id_,) = await shop.park(some(1))
    one = Generation(1, {shop.orders: 3, "d": 3}, {shop.orders: "id", "d": "id"})
    await shop.grown(one)
    growth = Growth("g", 1, phase, one.of_number(2), 0.0, 0.0)
    await write_record(Connection(shop.kafka), shop.service, growth)
    with pytest.raises(UnavailableError, match=f"that it is being scaled .{phase.value}.; wait until larder scale"):
        await settle(Connection(shop.kafka), shop.declared, how, Chosen())
    assert await shop.listed() == [id_]
    assert len(await shop.read()) == 1
    await write_record(Connection(shop.kafka), shop.service, structs.replace(growth, phase=GrowthPhase.CANCELLED))
    await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert await shop.replayed() == [id_]


async def test_letters_are_discarded_while_their_service_is_being_scaled(shop: Shop) -> None:
    await shop.park(some(1))
    one = Generation(1, {shop.orders: 3, "d": 3}, {shop.orders: "id", "d": "id"})
    await shop.grown(one)
    await write_record(
        Connection(shop.kafka), shop.service, Growth("g", 1, GrowthPhase.COPYING, one.of_number(2), 0.0, 0.0)
    )
    assert len((await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen())).settled) == 1


async def test_a_replay_that_runs_when_its_service_begins_to_copy_publishes_nothing_more(shop: Shop) -> None:
    ids = await shop.park(some(3))
    one = Generation(1, {shop.orders: 3, "d": 3}, {shop.orders: "id", "d": "id"})
    await shop.grown(one)
    async with replay_that_waits(shop) as slow_one:
        await write_record(
            Connection(shop.kafka), shop.service, Growth("g", 1, GrowthPhase.PAUSING, one.of_number(2), 0.0, 0.0)
        )
        await end_transaction(Connection(shop.kafka), settling_id(shop.service))
    with pytest.raises(UnavailableError, match="that it is being scaled"):
        await slow_one
    assert await shop.listed() == sorted(ids)
    assert await shop.replayed() == []


async def test_a_replayed_letter_is_not_listed_and_not_replayed_again(shop: Shop) -> None:
    ids = await shop.park(some(40))
    assert await shop.listed() == sorted(ids)
    first = await settle(Connection(shop.kafka), shop.declared, "republished", of(*ids[:5]))
    assert sorted(named(first.settled)) == sorted(ids[:5])
    again = await settle(Connection(shop.kafka), shop.declared, "republished", of(*ids[:6]))
    assert (list(named(again.settled)), sorted(named(again.already))) == ([ids[5]], sorted(ids[:5]))
    assert await shop.listed() == sorted(ids[6:])
    for _ in range(2):
        await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
        assert await shop.replayed() == sorted(ids)
    assert await shop.listed() == []


@pytest.mark.parametrize("step", ["replayed", "settled", "committed"])
async def test_a_replay_that_was_killed_and_repeated_has_replayed_each_letter_once(shop: Shop, step: str) -> None:
    ids = await shop.park(some(30))
    command = [sys.executable, "-m", "tests.support.dying_replay", shop.kafka, shop.service, step]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert await shop.replayed() == sorted(ids)
    assert await shop.listed() == []
    if step != "committed":
        assert sorted(named(outcome.settled)) == sorted(ids)


async def test_concurrent_replays_replay_each_letter_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TRANSACTION_LETTERS", 5)
    ids = await shop.park(some(60))

    async def later(seconds: float) -> SettlingOutcome:
        await asyncio.sleep(seconds)
        return await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())

    ended = await asyncio.gather(*(later(0.2 * number) for number in range(6)), return_exceptions=True)
    await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert await shop.replayed() == sorted(ids)
    for each in ended:
        assert isinstance(each, SettlingOutcome) or "another command, which has started since" in str(each), each


async def test_an_earlier_replay_is_fenced_with_a_message(shop: Shop) -> None:
    ids = await shop.park(some(10))
    async with replay_that_waits(shop) as slow_one:
        quick = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    with pytest.raises(UnavailableError, match="another command, which has started since"):
        await slow_one
    assert sorted(named(quick.settled)) == sorted(ids)
    assert await shop.replayed() == sorted(ids)


async def test_a_letter_that_is_written_again_after_it_was_settled_stays_settled(shop: Shop) -> None:
    (id_,) = await shop.park(some(1))
    await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    (stored, *_) = await read(shop.kafka, shop.letters)
    await send(shop.kafka, shop.letters, [Sent(stored.key, stored.value, stored.partition, list(stored.headers))])
    await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert await shop.replayed() == [id_]
    assert await shop.listed() == []


async def test_discarded_letters_are_gone_and_cannot_be_replayed_any_more(shop: Shop) -> None:
    ids = await shop.park(some(4))
    outcome = await settle(Connection(shop.kafka), shop.declared, "discarded", of(*ids[:2]))
    assert named(outcome.settled) == dict.fromkeys(ids[:2])
    assert await shop.listed() == sorted(ids[2:])
    assert (await tally_letters(Connection(shop.kafka), shop.service)).total == 2
    again = await settle(Connection(shop.kafka), shop.declared, "republished", of(ids[0], f"{shop.orders}/0/999"))
    assert [each.how for each in named(again.already).values()] == ["discarded"]
    assert list(named(again.left)) == [f"{shop.orders}/0/999"]
    assert await shop.replayed() == []


async def test_the_overview_of_a_new_worker_begins_with_the_unsettled_letters_of_the_topic(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.park(some(60))
    await shop.listed()
    monkeypatch.setattr(unsettled, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(unsettled, "LEAST_REST", 0.0)
    readings: list[int] = []
    plain = shelves.Shelf.entries

    def entries(shelf: shelves.Shelf, partition: int, span: Span) -> AsyncIterator[Letter | Settlement]:
        readings.append(partition)
        return plain(shelf, partition, span)

    monkeypatch.setattr(shelves.Shelf, "entries", entries)
    inputs = [{"topic": shop.orders, "partition": each, "position": 20, "lag": 0} for each in range(PARTITIONS)]
    new = replace(
        sources(connection=Connection(shop.kafka)), service=shop.service, status=lambda: STATUS | {"inputs": inputs}
    )
    async with serving_from(new) as served:

        async def first(wanted: str) -> bool:
            _, answer = await served.get("/services?all=1")
            found = [each for each in troubles(answer) if shop.orders in each.what]
            return bool(found and wanted in found[0].what) if wanted else answer["unsettled"]["total"] == 0

        said = f"60 dead letters of {shop.orders}, 100 % of the newest 60 records, are not settled"
        await until(lambda: first(said), 20, "the letters to be counted")
        assert sorted(readings) == [0, 1]
        for _ in range(3):
            await until(lambda: first(said), 20, "the letters to be counted")
        assert sorted(readings) == [0, 1], "nothing was written since"
        await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen())
        await until(lambda: first(""), 20, "the letters to be settled")


async def test_letters_are_chosen_by_topic_and_cause(shop: Shop) -> None:
    await shop.park(some(2), "no customer 'c1'")
    await send(shop.kafka, shop.orders, [Sent("late", {"id": 9}, 0)])
    other = await shop.park([], "is nested too deeply")
    await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen(topic="another.topic"))
    await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen(cause="Customer"))
    assert await shop.listed() == other


async def test_what_a_letter_left_out_is_read_from_its_topic_while_it_is_there(shop: Shop) -> None:
    large = "x" * 5_000
    ids = await shop.park([Sent("k" * 2_000, large.encode(), 0, [("trace", b"1")])], largest=1_000)
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert list(named(outcome.settled)) == ids
    before, after = await shop.read()
    assert (after.key, after.value) == (before.key, before.value)
    assert list(after.headers) == [("trace", b"1"), ("larder.replayed", ids[0].encode())]
    stale = dead_letter(shop.service, shop.orders, 0, before, "late")
    headers = [(name, b"7" if name == "larder.timestamp" else value) for name, value in stale.headers]
    await send(shop.kafka, shop.letters, [Sent(stale.key, None, 0, [*headers, ("larder.left-out", b"the value")])])
    again = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert "which is gone from" in named(again.left)[f"{shop.orders}/0/0"]


async def test_transactions_are_bounded_including_what_letters_left_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "TRANSACTION_BYTES", 9_000)
    together, send_ = [], rounds.send

    async def counted(producer: TransactionalProducer, outgoing: list[Outgoing]) -> list[int]:
        together.append(sum(len(each.value or b"") for each in outgoing))
        return await send_(producer, outgoing)

    monkeypatch.setattr(rounds, "send", counted)
    ids = await shop.park([Sent(f"o{each}", b"x" * 5_000, 0) for each in range(5)], largest=1_000)
    assert sorted(
        named((await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())).settled)
    ) == sorted(ids)
    assert [each for each in together if each] == [10_000, 10_000, 5_000]


async def test_a_record_without_key_and_value_is_replayed_too(shop: Shop) -> None:
    async with AIOKafkaProducer(bootstrap_servers=shop.kafka) as producer:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=EARLIER)
        await (await producer.send_batch(batch, shop.orders, partition=1))
    await shop.park([Sent(None, b"{", 0), Sent("k", None, 2)])
    await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    stored = [(each.partition, each.key, each.value) for each in await shop.read()]
    assert stored == [(0, None, b"{")] * 2 + [(1, None, None)] * 2 + [(2, b"k", None)] * 2


async def test_rows_are_left_to_their_owner(shop: Shop) -> None:
    ids = await shop.park(some(3))
    await configure(shop.kafka, shop.orders, COMPACTED)
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", Chosen())
    assert sorted(named(outcome.left)) == sorted(ids)
    assert all("an old row would replace" in cause for cause in named(outcome.left).values())
    assert await shop.replayed() == []
    assert len((await settle(Connection(shop.kafka), shop.declared, "discarded", Chosen())).settled) == 3


async def test_a_refused_record_is_left_and_delays_no_other(shop: Shop) -> None:
    ids = await shop.park([*some(8), Sent("new", {"id": 9}, 0)])
    # Those of two hours ago are refused now; the last one is not.
    await configure(shop.kafka, shop.orders, {"message.timestamp.before.max.ms": "3600000"})
    outcome = await settle(Connection(shop.kafka), shop.declared, "republished", of(*[ids[0], *ids[-1:], ids[1]]))
    assert len(named(outcome.left)) + len(named(outcome.settled)) == 3
    assert all("requires its topic to accept it" in cause for cause in named(outcome.left).values())
    assert await shop.replayed() == sorted(named(outcome.settled))
    assert len(named(outcome.settled)) == 1


async def test_a_service_without_dead_letters_has_none(kafka: str, prefix: str) -> None:
    assert (await list_letters(Connection(kafka), prefix, 10)) == ([], None, False)
    assert await letter(Connection(kafka), prefix, Coordinates("t", 0, 1)) is None
    outcome = await settle(Connection(kafka), Service(prefix), "discarded", of("t/0/1"))
    assert (named(outcome.settled), list(named(outcome.left))) == ({}, ["t/0/1"])


async def test_letters_are_found_by_keys_that_are_longer_than_lists_show(shop: Shop) -> None:
    keys = [f"{'k' * 300}{number}" for number in range(2)]
    wanted, _ = await shop.park([Sent(key, {}, number, [], EARLIER + number) for number, key in enumerate(keys)])
    page = await list_letters(Connection(shop.kafka), shop.service, 10, None, lambda each: each.key == keys[0].encode())
    assert [str(each.id) for each in page.letters] == [wanted]


async def test_a_list_is_bounded_in_letters_and_in_records_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await shop.park(some(90))
    pages, cursor = [], None
    while True:
        page = await list_letters(Connection(shop.kafka), shop.service, 25, cursor)
        pages.append([str(each.id) for each in page.letters])
        assert all(each.value is None for each in page.letters)
        if (cursor := page.next) is None:
            break
    assert [len(each) for each in pages] == [25, 25, 25, 15]
    assert sorted(id_ for each in pages for id_ in each) == sorted(ids)
    monkeypatch.setattr(shelves, "MOST_RECORDS", 20)
    page = await list_letters(Connection(shop.kafka), shop.service, 25)
    assert (len(page.letters), page.next, page.beyond) == (20, None, True)


async def test_a_first_page_has_the_counts_of_all_letters_from_one_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await shop.park(some(90))
    await settle(Connection(shop.kafka), shop.declared, "discarded", of(*ids[:3]))
    await shop.listed()
    read: list[tuple[int, int]] = []
    plain = shelves.Shelf.entries

    def entries(shelf: shelves.Shelf, partition: int, span: Span) -> AsyncIterator[Letter | Settlement]:
        read.extend((partition, offset) for offset in range(*span))
        return plain(shelf, partition, span)

    monkeypatch.setattr(shelves.Shelf, "entries", entries)
    page, tally = await survey_letters(Connection(shop.kafka), shop.service, 25)
    assert len(read) == len(set(read)) > 90
    assert page == await list_letters(Connection(shop.kafka), shop.service, 25)
    assert tally == await tally_letters(Connection(shop.kafka), shop.service)
    assert (len(page.letters), tally.total, tally.whole) == (25, 87, True)
    monkeypatch.setattr(shelves, "MOST_RECORDS", 20)
    page, tally = await survey_letters(Connection(shop.kafka), shop.service, 25)
    assert (page.next, page.beyond, tally.whole) == (None, True, False)
