"""A service reads rows of another one over HTTP in its calls, whatever becomes of that one's workers."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.conftest import unique
from tests.support.topics import Sent, create, read, send
from tests.support.workers import Worker, running

MODULE = """
from larder import EventTopic, OwnerTopic, Retry, Row, Service, Unavailable
from larder.types import Attempt


class Order(Row):
    order_id: str
    state: str = "new"


class Letter(Row):
    letter_id: str
    order_id: str
    strict: bool = False


class Sent(Row):
    letter_id: str
    state: str | None


orders = OwnerTopic("{prefix}.orders", Order, key="order_id", owner="crm", partitions=4)
letters = EventTopic("{prefix}.letters", Letter, key="letter_id", partitions=2)
sent = EventTopic("{prefix}.sent", Sent, key="letter_id", partitions=2)

shop = Service("{prefix}.shop", context="{of_shop}")
orders_of_shop = shop.table(orders)

mailing = Service("{prefix}.mailing", context="sales")


@mailing.call(
    letters, into=[sent], timeout=3.0, retry=Retry(first=0.2, most=0.5, attempts=2),
    reads=[Service("{prefix}.shop", context="sales").table(orders).remote(timeout=1.0)],
)
async def send(letter: Letter, attempt: Attempt) -> Sent:
    otherwise = {} if letter.strict else {"otherwise": Order(order_id="", state="unknown")}
    order = await attempt.get(orders_of_shop, letter.order_id, **otherwise)
    return Sent(letter_id=letter.letter_id, state=order and order.state)
"""


class Shops:
    """The workers of both services, which share topics with one prefix."""

    def __init__(self, kafka: str, directory: Path, prefix: str, of_shop: str) -> None:
        self.kafka = kafka
        self.prefix = prefix
        module = MODULE.replace("{prefix}", prefix).replace("{of_shop}", of_shop)
        self.shop = [Worker(kafka, directory, module, f"{prefix}.shop", name) for name in ("one", "two")]
        self.mailing = Worker(kafka, directory, module, f"{prefix}.mailing", "mailing")
        self.workers = [*self.shop, self.mailing]

    async def order(self, **states: str) -> None:
        """Publish orders, and wait until the shop's workers have them."""
        rows = [Sent(each, {"order_id": each, "state": state}) for each, state in states.items()]
        await send(self.kafka, f"{self.prefix}.orders", rows)
        deadline = time.monotonic() + 30
        while any(self.shop[0].row(f"{self.prefix}.orders", each)[0] != 200 for each in states):
            assert time.monotonic() < deadline, "the shop has not read its orders"
            await asyncio.sleep(0.05)

    async def mail(self, order: str, *, strict: bool = False) -> str:
        letter = unique("letter")
        event = Sent(letter, {"letter_id": letter, "order_id": order, "strict": strict})
        await send(self.kafka, f"{self.prefix}.letters", [event])
        return letter

    async def state_in(self, letter: str, seconds: float = 30) -> str | None:
        """Return the state of the order that a letter tells."""
        deadline = time.monotonic() + seconds
        while True:
            for each in await read(self.kafka, f"{self.prefix}.sent"):
                event = msgspec.json.decode(each.value or b"")
                if event["letter_id"] == letter:
                    state: str | None = event["state"]
                    return state
            assert time.monotonic() < deadline, f"{letter} is not sent"
            await asyncio.sleep(0.05)

    def reads(self, result: str) -> float:
        name = ("larder_remote_reads_total", "send", result, f"{self.prefix}.shop", f"{self.prefix}.orders")
        return self.mailing.metrics().get(name, 0.0)


def shops(kafka: str, directory: Path, of_shop: str = "sales") -> Iterator[Shops]:
    prefix = unique("contexts")
    asyncio.run(create(kafka, {f"{prefix}.orders": 4}, {"cleanup.policy": "compact"}))
    asyncio.run(create(kafka, {f"{prefix}.letters": 2}))
    found = Shops(kafka, directory, prefix, of_shop)
    with running(*found.workers):
        for worker in found.workers:
            worker.until_caught_up()
        yield found


@pytest.fixture(scope="module")
def both(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    yield from shops(kafka, tmp_path_factory.mktemp("contexts"))


@pytest.mark.scenario("3.8")
async def test_a_call_reads_rows_of_any_partition_and_hears_that_there_is_none(both: Shops) -> None:
    await both.order(**{f"o{number}": f"state {number}" for number in range(8)})
    letters = [await both.mail(f"o{number}", strict=True) for number in range(8)]
    absent = await both.mail("nobody's", strict=True)
    assert [await both.state_in(each) for each in letters] == [f"state {number}" for number in range(8)]
    assert await both.state_in(absent) is None
    assert both.reads("row") >= 8
    assert both.reads("absent") >= 1


async def test_a_worker_that_does_not_answer_is_passed_over_and_its_rows_are_unknown_until_it_is_replaced(
    both: Shops,
) -> None:
    await both.order(**{f"p{number}": "new" for number in range(8)})
    for each in [await both.mail(f"p{number}", strict=True) for number in range(8)]:
        assert await both.state_in(each) == "new"
    one = both.shop[0]
    one.signal(signal.SIGSTOP)
    try:
        lenient = [await both.mail(f"p{number}") for number in range(8)]
        states = {await both.state_in(each) for each in lenient}
        assert states <= {"new", "unknown"}
        strict = [await both.mail(f"p{number}", strict=True) for number in range(8)]
        assert {await both.state_in(each) for each in strict} == {"new"}
    finally:
        one.signal(signal.SIGCONT)


async def test_a_service_that_is_away_is_no_reason_to_send_nothing(both: Shops) -> None:
    await both.order(q1="paid")
    for worker in both.shop:
        worker.kill()
    assert await both.state_in(await both.mail("q1")) == "unknown"
    waiting = await both.mail("q1", strict=True)
    assert both.reads("unavailable") >= 1
    for worker in both.shop:
        worker.start()
    assert await both.state_in(waiting) == "paid"


@pytest.fixture
def apart(kafka: str, tmp_path: Path) -> Iterator[Shops]:
    yield from shops(kafka, tmp_path, of_shop="money")


async def test_a_read_is_refused_if_the_contexts_have_changed(apart: Shops) -> None:
    await apart.order(q1="paid")
    await apart.mail("q1")
    apart.mailing.until_logged(
        r"cannot be used: RefusedReadError: .* context 'sales': requires the context of service .*"
    )
    assert apart.reads("failed") >= 1
    assert apart.reads("unavailable") == 0
