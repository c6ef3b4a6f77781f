"""Takes the requests of clients in memory, by the rules of the worker for what is valid and what counts once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import msgspec

from larder.declaring.carried import carried_by_request, carried_names
from larder.declaring.compiled.requests import InvalidRequestError, ReadRequest, compile_request
from larder.declaring.counted_requests import CountedRequest
from larder.declaring.dead_letters import cause_of
from larder.declaring.decoding import decoder
from larder.declaring.outcomes import NotDecidableError, Outcome, RequestFailedError, counted_as, first_outcome
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.requests import Request
from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic
from larder.testing.decider import MemoryDecider
from larder.testing.records import Headers, MemoryAnswer, MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory

if TYPE_CHECKING:
    from larder.declaring.service import Service


@open_in_memory.register
def _open(request: Request, run: MemoryRun) -> MemoryStep:
    return MemoryRequest(request, run)


def listed_as(request: Request) -> EventTopic:
    """Return the topic that has the requests of a run over lists; the key of a record is its `Idempotency-Key`."""
    return EventTopic(request.address, cast("type[Row]", request.body), key=request.state.topic.key)


def asked_at(service: Service, address: str) -> tuple[Request, Mapping[str, str]]:
    """Return the request of an address, and the texts in its path; raise DeclarationError for any other address.

    If several match, it is the one with the most parts before its first field, as in a worker.
    """
    found = [(each, path) for each in service.requests if (path := _path(each.address, address)) is not None]
    if not found:
        problem = Problem(
            f"a request of {address}",
            f"requires an address of {service.name}, with the fields of its path filled in",
            repr(address),
            f"ask for {', '.join(each.address for each in service.requests) or 'none: it takes no requests'}",
        )
        raise DeclarationError([problem])
    return max(found, key=lambda each: len(each[0].address.partition("{")[0]))


def body_of(request: Request, given: Row | Mapping[str, Any] | bytes | None) -> bytes:
    """Return the body of a request; raise DeclarationError for a value of another type."""
    if given is None or isinstance(given, bytes):
        return given or b""
    if isinstance(given, cast("type[Row]", request.body) | Mapping):
        return msgspec.json.encode(given)
    name = listed_as(request).row.__name__
    requires = f"requires a row of {name}, a dict, JSON bytes or None"
    found = f"a {type(given).__name__}"
    raise DeclarationError([Problem(f"a request of {request.address}", requires, found, f"give {name}(...)")])


def _path(declared: str, address: str) -> Mapping[str, str] | None:
    """Return the texts of the fields in an address; None if it is no address of the declared one."""
    parts, texts = declared.split("/"), [unquote(each) for each in address.split("/")]
    if len(parts) != len(texts) or any(not text or "{" in text or "}" in text for text in texts):
        return None
    pairs = list(zip(parts, texts, strict=True))
    if any(part != text for part, text in pairs if not part.startswith("{")):
        return None
    return {part[1:-1]: text for part, text in pairs if part.startswith("{")}


def _texts(record: MemoryRecord) -> Mapping[str, str]:
    """Return the headers of a record as those of a request."""
    return {name: each.decode(errors="replace") for name, each in record.headers if each is not None}


class MemoryRequest(MemoryStep):
    """The requests at one address, and those that have counted. A run over lists gives them as records of a topic."""

    def __init__(self, request: Request, run: MemoryRun) -> None:
        """Start before the first request."""
        self.inputs = {listed_as(request): self._take}
        self._address = request.address
        self._decider = MemoryDecider(request, run)
        self._read = compile_request(request).read
        self._typed = decoder(request.state.topic.row)
        self._counted: dict[bytes, CountedRequest] = {}
        self._asked = 0
        self._run = run
        self._names = carried_names(run.service)
        self._answers = run.produced.answers[request.address]

    def ask(
        self, body: bytes, path: Mapping[str, str], once: str | None, timestamp: int, headers: Mapping[str, str]
    ) -> MemoryAnswer:
        """Return the answer to a request: its body, the texts in its path, its `Idempotency-Key`, its time in ms.

        `headers` are all its headers; those that do not go along are ignored.
        """
        self._asked += 1
        try:
            read = self._read(body, path, once)
            counted = None if read.id is None else self._counted.get(read.id)
            outcome = first_outcome(read, counted, timestamp / 1000) or self._decided(
                read, timestamp, self._carried(headers)
            )
        except (InvalidRequestError, RequestFailedError) as error:
            return MemoryAnswer(error.status, reason=str(error))
        if outcome.refusal is not None:
            return MemoryAnswer(outcome.status, reason=outcome.refusal, repeated=outcome.repeated)
        row = None if outcome.row is None else self._typed(outcome.row)
        return MemoryAnswer(outcome.status, row, outcome.revision, repeated=outcome.repeated)

    def _take(self, record: MemoryRecord) -> None:
        once = None if record.key is None else record.key.decode()
        self._answers.append(self.ask(record.value or b"", {}, once, record.timestamp, _texts(record)))

    def _carried(self, headers: Mapping[str, str]) -> Headers:
        found = carried_by_request({name.lower(): each for name, each in headers.items()}, self._names)
        return self._run.carried(self._address).again([(name, each.encode()) for name, each in found.items()])

    def _decided(self, read: ReadRequest, timestamp: int, carried: Headers) -> Outcome:
        key, table = read.key, self._decider.table
        existed = table.get(key) is not None
        where = f"{self._address} {self._asked if read.id is None else read.id.hex()}"
        try:
            cause = MemoryRecord(key, read.json, 0, carried, timestamp)
            verdict = self._decider.decide(key, read.event, where, cause)
        except ValueError as error:
            raise NotDecidableError(cause_of(error)) from error
        row = table.get(key)
        outcome = Outcome(row, None if row is None else table.revision(key), existed, verdict.refusal)
        if read.id is not None:
            self._counted[read.id] = counted_as(read.id, read, outcome, timestamp / 1000)
        return outcome
