"""Asks any worker of a service for its calls that are not done."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from larder.client.asking import LIST_SECONDS, OK, PAGE_ROWS, refuse_mistake, workers_at
from larder.client.local_workers import ask
from larder.config.errors import MistakeError, UnavailableError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.client.local_workers import Reply
    from larder.declaring.calls import Call
    from larder.declaring.service import Service

NO_SUCH_CALL = "no-such-call"


class CallList(NamedTuple):
    """Calls as `GET /calls/{call}` lists them, the cursor behind them, and the topics of the calls and outcomes."""

    calls: list[dict[str, Any]]
    next: str | None
    table: str
    outcomes: str


def call_named(service: Service, name: str) -> Call:
    """Return a call of a service by its name; raise MistakeError if it declares none."""
    declared = {each.name: each for each in service.calls}
    if name not in declared:
        near = difflib.get_close_matches(name, declared, 1)
        do = f"did you mean {near[0]}?" if near else "see larder services for what is declared"
        found = f"none of that name, but {', '.join(declared) or 'no call at all'}"
        raise MistakeError(Problem(f"call {name}", f"requires a call that {service.name} declares", found, do))
    return declared[name]


class CallReader:
    """The calls of one declaration, as the workers of its service list them."""

    def __init__(self, service: Service, call: str, at: str | None) -> None:
        """Ask the worker at an address, or those that use the data directory; raise MistakeError."""
        self.call = call
        self.service = service.name
        self._workers = [each for each in workers_at(at) if each.service in {"", service.name}]

    def listed(self, limit: int, cursor: str | None = None, state: str | None = None) -> CallList:
        """Return up to `limit` calls in a state; raise MistakeError and UnavailableError."""
        calls: list[dict[str, Any]] = []
        while True:
            given = {"limit": min(limit - len(calls), PAGE_ROWS), "cursor": cursor, "state": state}
            query = urlencode({name: value for name, value in given.items() if value is not None})
            body = self._answered(f"/calls/{quote(self.call, safe='')}?{query}").body
            calls += body["calls"]
            cursor = body["next"]
            if cursor is None or len(calls) >= limit:
                return CallList(calls, cursor, body["table"], body["outcomes"])

    def one(self, id_: str, after: str = "", within: float = 0.0) -> dict[str, Any] | None:
        """Return one call; None if it is done or given up. Wait so long for the write whose token is `after`."""
        query = f"?{urlencode({'after': after, 'within': within})}" if after else ""
        reply = self._answered(f"/calls/{quote(self.call, safe='')}/{quote(id_)}{query}")
        return reply.body if reply.status == OK else None

    def standing(self) -> dict[str, Any]:
        """Return what all workers of the service report, as `GET /services?all=1` answers."""
        return self._answered("/services?all=1").body

    def _answered(self, path: str) -> Reply:
        """Return the first reply that has an answer, or that is certain that there is no such call."""
        said = []
        for worker in self._workers:
            reply = ask(worker, path, LIST_SECONDS)
            if (reply.status == OK and reply.body.get("service") == self.service) or reply.kind == NO_SUCH_CALL:
                return reply
            refuse_mistake(reply)
            said.append(f"{worker.worker}: {_said(reply)}")
        raise self._nobody(said)

    def _nobody(self, said: Sequence[str]) -> UnavailableError:
        found = "; ".join(said) or "no local worker at all"
        do = "try again, or name another worker with --at" if said else f"start one: larder worker {self.service}"
        return UnavailableError(
            Problem(f"calls of {self.call}", f"requires a worker of {self.service} that answers", found, do)
        )


def _said(reply: Reply) -> str:
    return f"a worker of {reply.body.get('service')}" if reply.status == OK else reply.said
