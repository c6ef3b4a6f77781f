"""Sends a request of a client to any worker that takes it, again and again with one key until there is an answer.

With its `Idempotency-Key`, a request counts once, however often it is sent.
"""

from __future__ import annotations

import difflib
import re
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from larder.client.local_workers import ask_all, post
from larder.config.errors import MistakeError, UnavailableError
from larder.config.settings import load_settings
from larder.declaring.carried import TRACEPARENT
from larder.declaring.problems import Problem
from larder.observability.outcomes import REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from larder.client.local_workers import LocalWorker, Reply

UNAVAILABLE = 503

ANSWER_SECONDS = 15.0
"""The timeout for one answer: longer than a worker tries, with a worker in between."""

RETRY_SECONDS = 0.5
"""The pause before a request is sent again: a partition moves within seconds."""

ADDRESS = re.compile(r"POST /[^\s{}]+")


class Sending(NamedTuple):
    """A request to send: its address with the values of its path, its JSON, its `Idempotency-Key` and its trace."""

    address: str
    body: bytes
    once: str
    trace: str

    @property
    def declared(self) -> str:
        """Its name in problems."""
        return f"request {self.address}"

    @property
    def path(self) -> str:
        """Its path, percent-encoded where it was not."""
        return quote(self.address.partition(" ")[2], safe="/?%:@!$&'()*+,;=~")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that make it count once, and let others follow it."""
        return {"Idempotency-Key": self.once, TRACEPARENT: self.trace}

    def fits(self, declared: str) -> bool:
        """Return whether it is for a declared address, where a part in braces stands for any value."""
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(declared))
        return re.fullmatch(pattern, self.address.partition("?")[0]) is not None


def new_trace() -> str:
    """Return the header `traceparent` of a new trace, as W3C Trace Context has it: version, trace, span, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def require_sendable(sending: Sending) -> None:
    """Raise `MistakeError` for anything but POST and a path with values, and for a key that no header can have."""
    if not ADDRESS.fullmatch(sending.address):
        do = 'write it like "POST /orders" or "POST /orders/o1/cancel"'
        raise MistakeError(
            Problem(sending.declared, "requires POST and a path with values for braces", repr(sending.address), do)
        )
    if not (sending.once.isascii() and sending.once.isprintable()):
        raise MistakeError(Problem("--once", "requires printable ASCII", repr(sending.once), "use a random UUID"))


def send(
    sending: Sending, workers: Callable[[], Sequence[LocalWorker]], within: float, say: Callable[[str], None]
) -> Reply:
    """Return the first answer of any of the current `workers`, within so many seconds; `say` receives each obstacle.

    Raises `MistakeError` if nobody takes requests at the address, and `UnavailableError` if nobody answers in time.
    """
    deadline = time.monotonic() + within
    obstacle, tries = "", 0
    while True:
        found = "no worker that answers"
        if takers := _takers(sending, workers(), sent=tries > 0):
            taker = takers[tries % len(takers)]
            tries += 1
            seconds = min(ANSWER_SECONDS, max(RETRY_SECONDS, deadline - time.monotonic()))
            reply = post(taker, sending.path, sending.body, sending.headers, seconds)
            if reply.status not in {0, UNAVAILABLE}:
                return reply
            found = f"{taker.worker}: {reply.said}"
        if time.monotonic() + RETRY_SECONDS > deadline:
            do = f"repeat it with --once {sending.once}: it counts once" if tries else "try again, or start a worker"
            raise UnavailableError(Problem(sending.declared, f"requires an answer within {within:g} s", found, do))
        if found != obstacle:
            obstacle = found
            say(f"{found}; trying again with the same Idempotency-Key, {sending.once}")
        time.sleep(RETRY_SECONDS)


def _takers(sending: Sending, workers: Sequence[LocalWorker], *, sent: bool) -> list[LocalWorker]:
    """Return the workers that take a request; none while some do not answer, or have ended since it was `sent`."""
    replies = [each for each in ask_all(workers, "/services") if each.status]
    takers = [each for each in replies if any(map(sending.fits, _addresses(each)))]
    services = {each.body["service"] for each in takers}
    if len(services) > 1:
        found = f"several: {', '.join(sorted(services))}"
        do = "name a worker of one of them with --at"
        raise MistakeError(Problem(sending.declared, "requires one service that takes it", found, do))
    if not takers and not sent and len(replies) == len(workers):
        raise _nobody(sending, replies)
    return [each.worker for each in takers]


def _addresses(reply: Reply) -> list[str]:
    """Return the addresses at which a worker takes requests."""
    return [each["name"] for each in reply.body.get("operators", ()) if each["kind"] == REQUEST]


def _nobody(sending: Sending, replies: Sequence[Reply]) -> MistakeError | UnavailableError:
    """Return the error for a request that no worker takes."""
    if replies and not replies[0].worker.service:
        return _undeclared(sending, _addresses(replies[0]))  # the worker of --at
    from larder.config.declared import declared_services  # noqa: PLC0415 - imports what the user wrote

    services = declared_services(load_settings().settings.modules).values()
    holders = {each.address: service.name for service in services for each in service.requests}
    holder = next((name for address, name in holders.items() if sending.fits(address)), None)
    if holder is None:
        return _undeclared(sending, holders)
    do = f"start one: larder worker {holder}"
    return UnavailableError(Problem(sending.declared, "requires a worker that takes it", "none here", do))


def _undeclared(sending: Sending, declared: Collection[str]) -> MistakeError:
    near = difflib.get_close_matches(sending.address, declared, 1)
    do = f"did you mean {near[0]}?" if near else "see larder services for what is declared"
    found = f"none of that address, but {', '.join(declared) or 'no request at all'}"
    return MistakeError(Problem(sending.declared, "requires a declared request", found, do))
