"""What is outside: it acts once for a key, whatever goes wrong on the way. Over HTTP, asked as services ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from agents import mailing, outside, payments, stock
from app.outside import application
from app.provider import Outside
from larder import Unavailable
from larder.types import Attempt
from tables.mailing import Letter, Mailed
from tables.order_states import State
from tables.payments import Charge, NotPaid, Paid, Void, Voided
from tables.shipments import History, Step
from tables.stock import Bought, Purchase

WANTED = Charge(order_id="o1", customer_id="c1", amount=500)
PAID = Paid(order_id="o1", amount=500, charge_id="charge-o1")


async def no_row(*_: object) -> None:
    """Answer as a service that has no history of the order."""


def history(state: State) -> History:
    step = Step(state=state, at=datetime(2026, 1, 1, tzinfo=UTC))
    return History(order_id="o1", product_id="p1", quantity=1, steps=(step,))


FIRST = Attempt("o1", 1, read=no_row)


class Served:
    """The outside over HTTP, and the switch of its faults."""

    def __init__(self, does: Outside, url: str) -> None:
        self.does = does
        self._url = url

    async def fail(self, kind: str, **faults: Any) -> int:
        async with ClientSession() as session, session.put(f"{self._url}/faults/{kind}", json=faults) as answer:
            return answer.status

    async def ledger(self) -> Mapping[str, Any]:
        async with ClientSession() as session, session.get(f"{self._url}/ledger") as answer:
            found: Mapping[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    does = Outside()
    runner = web.AppRunner(application(does))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        with patch.object(outside, "URL", url):
            yield Served(does, url)
    finally:
        await runner.cleanup()


def test_a_charge_counts_once_for_its_key() -> None:
    async def run() -> None:
        async with served() as it:
            assert [await payments.charge(WANTED, FIRST) for _ in range(2)] == [PAID, PAID]
            ledger = await it.ledger()
            assert (ledger["charges"], ledger["money"], ledger["asked"]["charges"]) == ({"o1": 500}, 500, {"o1": 2})

    asyncio.run(run())


def test_what_was_voided_is_given_back_and_never_charged_again() -> None:
    async def run() -> None:
        async with served() as it:
            await payments.charge(WANTED, FIRST)
            unwanted = Void(order_id="o1")
            assert await payments.void(unwanted, FIRST) == Voided(order_id="o1", returned=500)
            assert await payments.void(unwanted, FIRST) == Voided(order_id="o1", returned=0)
            assert await payments.charge(WANTED, FIRST) == NotPaid(order_id="o1", reason="it was voided")
            assert it.does.money == 0

    asyncio.run(run())


def test_a_lost_answer_is_an_outage_but_the_charge_counts() -> None:
    async def run() -> None:
        async with served() as it:
            assert await it.fail("charges", lost=1) == HTTPStatus.NO_CONTENT
            with pytest.raises(Unavailable):
                await payments.charge(WANTED, FIRST)
            assert it.does.charges == {"o1": 500}
            assert await payments.charge(WANTED, FIRST) == PAID

    asyncio.run(run())


def test_while_it_is_down_nothing_is_charged() -> None:
    async def run() -> None:
        async with served() as it:
            await it.fail("charges", down=True)
            with pytest.raises(Unavailable):
                await payments.charge(WANTED, FIRST)
            assert it.does.charges == {}
            await it.fail("charges")
            assert await payments.charge(WANTED, FIRST) == PAID

    asyncio.run(run())


def test_other_faults_concern_one_kind_one_key_or_one_customer() -> None:
    async def run() -> None:
        async with served() as it:
            await it.fail("charges", broken=["o1"], refused=["c2"], slow=0.01)
            with pytest.raises(RuntimeError, match="/charges answers 500"):
                await payments.charge(WANTED, FIRST)
            other = Charge(order_id="o2", customer_id="c2", amount=1)
            refused = await payments.charge(other, Attempt("o2", 1))
            assert refused == NotPaid(order_id="o2", reason="the card of c2 is refused")
            letter = Letter(order_id="o1", customer_id="c1", text="Dear Ada")
            assert await mailing.send(letter, FIRST) == Mailed(order_id="o1", customer_id="c1")
            assert await it.fail("weather", down=True) == HTTPStatus.NOT_FOUND
            assert await it.fail("charges", down="often") == HTTPStatus.UNPROCESSABLE_ENTITY

    asyncio.run(run())


def test_mails_and_purchases_count_once_too() -> None:
    async def run() -> None:
        async with served() as it:
            for text in ("Dear Ada", "Dear Ada, again"):
                await mailing.send(Letter(order_id="o1", customer_id="c1", text=text), FIRST)
            purchase = Purchase(product_id="p1", number=1, pieces=20)
            bought = Bought(product_id="p1", number=1, pieces=20)
            assert await stock.buy(purchase, Attempt("p1/1", 1)) == bought
            ledger = await it.ledger()
            assert ledger["mails"] == {"o1": {"to": "c1", "text": "Dear Ada"}}
            assert ledger["purchases"] == {"p1/1": 20}

    asyncio.run(run())


def test_nobody_there_is_an_outage() -> None:
    async def run() -> None:
        async with served():
            pass
        with pytest.raises(Unavailable):
            await payments.charge(WANTED, FIRST)

    with patch.object(outside, "URL", "http://127.0.0.1:1"):
        asyncio.run(run())


def test_who_is_asked_gets_the_trace_and_the_key() -> None:
    found: list[Mapping[str, str]] = []

    async def note(request: web.Request) -> web.Response:
        found.append(request.headers)
        return web.json_response({})

    async def run() -> None:
        asked = web.Application()
        asked.router.add_post("/mails", note)
        async with TestServer(asked) as server:
            with patch.object(outside, "URL", str(server.make_url("")).rstrip("/")):
                letter = Letter(order_id="o1", customer_id="c1", text="Dear Ada")
                await mailing.send(letter, Attempt("o1", 1, {"traceparent": "00-1-2-01"}, no_row))

    asyncio.run(run())
    assert [(each["traceparent"], each["Idempotency-Key"]) for each in found] == [("00-1-2-01", "o1")]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (history("shipped"), "Dear Ada. Your parcel is on its way."),
        (history("confirmed"), "Dear Ada."),
        (Unavailable("nobody answers"), "Dear Ada."),
    ],
)
def test_a_late_mail_says_that_the_parcel_has_left_if_shipments_answers(
    found: History | Unavailable, text: str
) -> None:
    async def read(*_: object) -> History:
        if isinstance(found, Unavailable):
            raise found
        return found

    async def act() -> None:
        async with served() as at:
            letter = Letter(order_id="o1", customer_id="c1", text="Dear Ada.")
            await mailing.send(letter, Attempt("o1", 1, read=read))
            assert (await at.ledger())["mails"]["o1"]["text"] == text

    asyncio.run(act())
