"""Drives a service in a test, record by record, with a clock that the test moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, cast

from larder.declaring.coordinates import Coordinates
from larder.declaring.operators import Topic
from larder.declaring.problems import DeclarationError, LarderError, Problem
from larder.declaring.rows import Row
from larder.declaring.service import Service
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic
from larder.testing.given import OF_THE_ROW, Sent, sent, topic_read
from larder.testing.records import Headers, MemoryAnswer, MemoryLetter, MemoryRecord
from larder.testing.requests import MemoryRequest, asked_at, body_of
from larder.testing.run import MemoryRun
from larder.testing.tables import TableView

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

START: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The time at which the clock of a driver starts by default, the same in each run."""


class UnreadDeadLettersError(LarderError, AssertionError):
    """A test ended without reading all dead letters."""


class Driver:
    """A service without a broker: send records and requests, move the clock, read results, tables and dead letters.

    When `send` or `request` returns, the record or the request has had all its effects: operators
    have processed the results that the service itself reads, joins have released the records that
    waited for the row, due wake-ups have fired, and calls have run their functions: a test replaces
    what these call. Agents do not run.

    >>> with Driver(fulfilment) as driver:
    ...     driver.send(shop.customers, ada)
    ...     driver.send(shop.orders, order)
    ...     [fulfilled] = driver.read_rows(shop.fulfilments)
    >>> fulfilled.customer.name
    'Ada'

    A `with` block fails at its end if it has not read all dead letters, so that no record is lost
    unless the test expects that.
    """

    def __init__(self, service: Service, *, now: datetime = START) -> None:
        """Open a service whose topics are empty; raise DeclarationError if its declarations have problems."""
        self._run = MemoryRun(service, now.timestamp())
        self._read = Counter[str]()

    def __enter__(self) -> Self:
        """Return the driver."""
        return self

    def __exit__(
        self, error: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Raise UnreadDeadLettersError if the block has not read all dead letters, unless it failed anyway."""
        __tracebackhide__ = True  # pytest then shows the test, not this line
        if error is None and (letters := self.dead_letters()):
            lines = [f"{Coordinates(each.topic, 0, each.offset)}: {each.cause}" for each in letters]
            message = "dead letters that the test has not read with dead_letters():\n" + "\n".join(lines)
            raise UnreadDeadLettersError(message)

    @property
    def now(self) -> datetime:
        """The time of the driver's clock, in UTC."""
        return datetime.fromtimestamp(self._run.now, UTC)

    def send(
        self,
        topic: str | Topic,
        value: Sent,
        *,
        key: Any = OF_THE_ROW,
        headers: Mapping[str, bytes | None] | Headers = (),
        at: datetime | None = None,
    ) -> None:
        """Send a record to a topic that the service reads.

        value    a row of the topic, a dict (written as JSON), bytes (sent unchanged), or None
                 for a deletion.
        key      a value of the topic's key type, or bytes (sent unchanged). The default is the
                 key field of the row or dict; bytes and None have no key by default.
        headers  a dict of names and bytes, or pairs of them.
        at       the record's timestamp; the default is the time of the clock.

        Raise DeclarationError if the service does not read the topic, or if the value is not a
        row of the topic.
        """
        read = topic_read(self._run.service, topic)
        timestamp = round((self.now if at is None else at).timestamp() * 1000)
        offset = len(self._run.log(read.name))
        pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
        self._run.append(read.name, MemoryRecord(*sent(read, offset, value, key), offset, pairs, timestamp, read.row))
        self._run.settle()

    def request(
        self,
        address: str,
        body: Row | Mapping[str, Any] | bytes | None = None,
        *,
        once: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> MemoryAnswer:
        """Send a request to an address that the service declares, and return its answer.

        address  as declared, with the fields of its path filled in and URL-encoded:
                 `POST /orders/o1/cancel`.
        body     a dict or a row (written as JSON), bytes (sent unchanged), or None if all fields
                 are in the path.
        once     the header `Idempotency-Key`. For 24 hours of the driver's clock, a request with
                 the same one counts once, and gets its first answer again.
        headers  other headers; those that go along do, the others have no effect.

        Raise DeclarationError if the service has no such address, or if the body is a row of
        another type than that of the request.

        >>> answer = driver.request("POST /orders", {"order_id": "o1", "item": "ring"})
        >>> answer.status, answer.row.item
        (201, 'ring')
        """
        request, path = asked_at(self._run.service, address)
        step = cast("MemoryRequest", self._run.readers[request].step)
        answer = step.ask(body_of(request, body), path, once, int(self._run.now * 1000), headers)
        self._run.settle()
        return answer

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the clock forward: waits expire and wake-ups fire, each at its time."""
        self.advance_to(self.now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def advance_to(self, at: datetime) -> None:
        """Move the clock forward to a time; raise DeclarationError if it has passed."""
        if at.timestamp() < self._run.now:
            raise DeclarationError([_backwards(self.now, at)])
        self._run.advance(at.timestamp())

    def read(self, topic: str | Topic) -> list[MemoryRecord]:
        """Return the records that the service has published into a topic since it was last read.

        Raise DeclarationError if the service does not publish into the topic.
        """
        name = topic if isinstance(topic, str) else topic.name
        if name not in self._run.produced:
            raise DeclarationError([_not_published(self._run, name)])
        records = self._run.produced[name]
        unread = records[self._read[name] :]
        self._read[name] = len(records)
        return unread

    def read_rows(self, topic: str | Topic) -> list[Any]:
        """Return the same records as `read`, as typed rows; None for a deletion."""
        return [record.row for record in self.read(topic)]

    def dead_letters(self) -> list[MemoryLetter]:
        """Return the dead letters since they were last read, with their causes."""
        unread = self.read(self._run.letters_topic)
        return self._run.letters[len(self._run.letters) - len(unread) :]

    def table(self, table: str | OwnerTopic | TableUse) -> TableView:
        """Return the rows of a table of the service; raise DeclarationError if it has no such table."""
        name = table if isinstance(table, str) else table.name
        if name not in self._run.tables:
            raise DeclarationError([_no_table(self._run, name)])
        return TableView(self._run.tables[name])


def _backwards(now: datetime, at: datetime) -> Problem:
    return Problem(
        "the clock of a driver",
        f"requires a time that is not before {now.isoformat()}, which it says now",
        at.isoformat(),
        "begin earlier: Driver(service, now=...)",
    )


def _not_published(run: MemoryRun, name: str) -> Problem:
    return Problem(
        f"reading {name}",
        f"requires a topic that {run.service.name} publishes into",
        f'"{name}"',
        f"read {', '.join(run.produced)}",
    )


def _no_table(run: MemoryRun, name: str) -> Problem:
    return Problem(
        f"table {name}",
        f"requires a table that {run.service.name} declares",
        f'"{name}"',
        f"ask for {', '.join(run.tables) or 'none: it has no tables'}",
    )
