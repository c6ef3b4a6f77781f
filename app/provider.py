"""What is outside: a provider of payments, a mail server and a supplier. They act once for each key.

Pure: from a request to an answer. `app.outside` serves it over HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec


class Faults(msgspec.Struct):
    """What is wrong with one kind of requests.

    down     it answers nothing and does nothing.
    slow     it waits so many seconds before it does anything.
    broken   it fails for these keys.
    lost     it does what it is asked for, but loses so many of its next answers.
    refused  whose cards it does not charge.
    """

    down: bool = False
    slow: float = 0.0
    broken: frozenset[str] = frozenset()
    lost: int = 0
    refused: frozenset[str] = frozenset()


class Told(NamedTuple):
    """The status of an answer, and what it says."""

    status: HTTPStatus
    body: Mapping[str, Any]


class Outside:
    """Charges, mails and purchases by key, and how often each key was asked for."""

    def __init__(self) -> None:
        """Start with nothing done, and without faults."""
        self.charges: dict[str, int] = {}
        self.voided: set[str] = set()
        self.mails: dict[str, Mapping[str, Any]] = {}
        self.purchases: dict[str, int] = {}
        self.asked = {kind: Counter[str]() for kind in ("charges", "voids", "mails", "purchases")}
        self.faults = {kind: Faults() for kind in self.asked}

    @property
    def money(self) -> int:
        """The cents that were charged and not given back."""
        return sum(self.charges.values())

    def answer(self, kind: str, key: str, body: Mapping[str, Any]) -> Told:
        """Do what is asked for, unless it was done for this key before, and return the answer.

        Raise KeyError for an unknown kind, or if the body lacks what the kind needs.
        """
        self.asked[kind][key] += 1
        if key in self.faults[kind].broken:
            return Told(HTTPStatus.INTERNAL_SERVER_ERROR, {"reason": f"{key} is broken"})
        match kind:
            case "charges":
                return self._charge(key, body["customer_id"], body["amount"])
            case "voids":
                self.voided.add(key)
                return Told(HTTPStatus.OK, {"returned": self.charges.pop(key, 0)})
            case "mails":
                self.mails.setdefault(key, {"to": body["to"], "text": body["text"]})
                return Told(HTTPStatus.OK, {})
            case _:
                return Told(HTTPStatus.OK, {"pieces": self.purchases.setdefault(key, body["pieces"])})

    def ledger(self) -> Mapping[str, Any]:
        """Return all that was done, as JSON values."""
        return {
            "charges": self.charges,
            "voided": sorted(self.voided),
            "money": self.money,
            "mails": self.mails,
            "purchases": self.purchases,
            "asked": self.asked,
        }

    def _charge(self, key: str, customer: str, amount: int) -> Told:
        if key in self.voided:
            return Told(HTTPStatus.GONE, {"reason": "it was voided"})
        if customer in self.faults["charges"].refused:
            return Told(HTTPStatus.PAYMENT_REQUIRED, {"reason": f"the card of {customer} is refused"})
        if self.charges.setdefault(key, amount) != amount:
            return Told(HTTPStatus.UNPROCESSABLE_ENTITY, {"reason": f"{key} was charged another amount"})
        return Told(HTTPStatus.OK, {"charge_id": f"charge-{key}", "amount": amount})
