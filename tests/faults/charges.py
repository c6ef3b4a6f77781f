"""The declarations of charges: invoices of customers, each charged by a call at a provider.

Each result names its invoice and the attempt that it results from, so that it can be compared with what the provider
has seen.
"""

from __future__ import annotations

from tests.faults.charges_judging import figures, violations
from tests.faults.charges_load import load
from tests.faults.parts import Part
from tests.faults.plan import Plan
from tests.faults.provider import TIMEOUT_SECONDS

TEXT = """
import time

import aiohttp

from larder import Retry, Unavailable
from larder.types import Attempt, GaveUp


class Invoice(Row):
    customer: str
    serial: int


class Settled(Row):
    customer: str
    serial: int
    attempt: int
    paid: bool


invoices = EventTopic("{prefix}.invoices", Invoice, key="customer", owner="billing")
settled = EventTopic("{prefix}.settled", Settled, key="customer", owner="{prefix}")


def give_up(invoice: Invoice, why: GaveUp) -> Settled:
    return Settled(customer=invoice.customer, serial=invoice.serial, attempt=why.attempts, paid=False)


@service.call(
    invoices, into=settled, key=lambda invoice: str(invoice.serial), otherwise=give_up, timeout={timeout},
    outages=[aiohttp.ClientError], retry=Retry(first=0.2, most=1.0, within=600.0, attempts={attempts}),
)
async def charge(invoice: Invoice, attempt: Attempt) -> Settled:
    headers = {"Idempotency-Key": attempt.key, "Attempt": str(attempt.number), "Sent-At": str(time.time())}
    async with aiohttp.ClientSession() as session, session.post("{provider}/charges", headers=headers) as answer:
        if answer.status >= 500:
            raise Unavailable(f"the provider answered {answer.status}")
        if answer.status >= 400:
            raise ValueError(f"the provider refused: {answer.status}")
    return Settled(customer=invoice.customer, serial=invoice.serial, attempt=attempt.number, paid=True)
"""

ATTEMPTS = 6
"""More than a good invoice needs: an attempt counts only if it is refused, or its outcome is unknown after a kill."""


def text(_: Plan) -> str:
    """Return the declarations, which are the same for all plans."""
    return TEXT.replace("{timeout}", str(TIMEOUT_SECONDS)).replace("{attempts}", str(ATTEMPTS))


CHARGES = Part(
    text=text,
    load=load,
    judge=violations,
    figures=figures,
    events=["invoices"],
    results=["settled"],
    inputs=["invoices"],
)
