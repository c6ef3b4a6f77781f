"""Waits of clients until rows satisfy predicates: all rows are looked up together, again and again.

Rows of this worker are looked up when their partition has moved on; those of another worker by one request for many
keys. A look depends on nothing that happened before it, so a wait survives a partition that moves and a worker that
dies.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from aiohttp import web

from larder.declaring.decoding import decoder
from larder.declaring.problems import LarderError, Problem
from larder.kafka.partitioner import partition_of
from larder.queries.certainty import require_certain
from larder.queries.lookup_errors import NotSureError, TooBusyError
from larder.queries.paths import rows_path, some_keys
from larder.queries.routing import share
from larder.queries.row_answers import raw_row
from larder.store import StoreError, read_token
from larder.web.peers.lists import KEYS_BYTES
from larder.web.peers.rows import HOP_WAIT, is_known_as_mine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from larder.declaring.predicates import Predicate
    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable
    from larder.web.peers.client import Hopping
    from larder.web.sources import Sources

MOST_WAITS: Final = 500
"""How many clients of a worker may wait for rows."""

HERE_SECONDS: Final = 0.02
"""The pause between two looks at the rows of this worker."""

THERE_SECONDS: Final = 0.075
"""The pause between two requests to another worker."""

REFRESH_SECONDS: Final = 0.3
"""The pause before the broker is asked where the partitions are, after a worker did not answer."""

NO_ROW: Final = msgspec.Raw(b"null")

GONE_SECONDS: Final = 0.5
"""The interval at which a wait finds out that its client is gone."""


class PredicateFailedError(LarderError):
    """A predicate raised an error."""


class Seen(NamedTuple):
    """What a look found: the row's fields in JSON (None if there is none), and how far its partition was then."""

    row: bytes | None
    revision: int | None
    partition: int
    position: int
    worker: str


@dataclass(eq=False)
class RowWait:
    """A client that waits for a row of `held`.

    predicate  what the row has to satisfy; without one, it has to exist.
    after      the token of a write: before it, the row may be older than what the client knows.
    existed    there was a row, so that no row means that it was deleted, which ends the wait.
    """

    held: LocalTable
    key: bytes
    text: str
    predicate: Predicate | None
    after: str | None = None
    existed: bool = False
    last: Seen | None = None
    over: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        """Read the token and hash the key once: a wait is looked at many times."""
        self._after = None if self.after is None else read_token(self.after)
        self._place_in(self.held)

    def _place_in(self, held: LocalTable) -> None:
        self.held, self._partitions = held, held.partition_count
        whole = held.held == "global" or not held.partition_count
        self.place = WaitedPlace(held, 0 if whole else partition_of(self.key, held.partition_count))

    def move_to(self, held: LocalTable) -> None:
        """Go on with the table as it is now: a service that has been scaled reads it from another topic."""
        if held is not self.held:
            self.last = None
        if held is not self.held or held.partition_count != self._partitions:
            self._place_in(held)

    @property
    def floor(self) -> int:
        """The offset that the partition of the row has to reach.

        A token of another topic says nothing about this one: the service has been scaled since.
        """
        if self._after is None or self.held.held == "global" or self._after.topic_id != self.held.topic_id:
            return 0
        return max(self._after.offsets.values()) + 1

    def look(self, seen: Seen) -> None:
        """End the wait if the row satisfies the predicate (True), or is deleted (False)."""
        if self.over.done() or seen.position < self.floor:
            return
        changed, self.last = self.last is None or seen.row != self.last.row, seen
        if seen.row is None:
            if self.existed:
                self.over.set_result(False)
            return
        self.existed = True
        try:
            if changed and self.satisfied_by(seen.row):
                self.over.set_result(True)
        except PredicateFailedError as error:
            self.over.set_exception(error)

    def satisfied_by(self, row: bytes) -> bool:
        """Return what the predicate says of a row in JSON; raise PredicateFailedError if it raises an error."""
        if self.predicate is None or self.predicate.function is None:
            return True
        try:
            return bool(self.predicate.function(decoder(self.held.topic.row)(row)))
        except Exception as error:
            message = f"{self.predicate.name}: {type(error).__name__}: {error}"
            raise PredicateFailedError(message) from error


class RowWaits:
    """The waits of one worker's clients. Two tasks look for all of them, as long as there are any."""

    def __init__(self, here: Sources, hopping: Hopping) -> None:
        """Start without waits."""
        self._here = here
        self._hopping = hopping
        self._waits: set[RowWait] = set()
        self._tasks: dict[Callable[[], Coroutine[None, None, None]], asyncio.Task[None]] = {}

    async def wait(self, wait: RowWait, seconds: float, gone: Callable[[], bool]) -> bool | None:
        """Return whether the row satisfies the predicate; False if it was deleted, None if the time is over.

        `gone` says whether the client is gone. Raise TooBusyError if too many wait, and PredicateFailedError.
        """
        if len(self._waits) >= MOST_WAITS:
            found, do = f"{MOST_WAITS} already", "wait at another worker, or ask again later"
            raise TooBusyError(Problem("a wait for a row", f"requires one of {MOST_WAITS} places", found, do))
        self._waits.add(wait)
        for look in (self._look_here, self._look_there):
            if look not in self._tasks or self._tasks[look].done():
                self._tasks[look] = asyncio.get_running_loop().create_task(look())
        try:
            async with asyncio.timeout(seconds):
                while not wait.over.done() and not gone():
                    await asyncio.wait([wait.over], timeout=GONE_SECONDS)
        except TimeoutError:
            pass
        finally:
            self._waits.discard(wait)
        return wait.over.result() if wait.over.done() else None

    async def close(self) -> None:
        """End the tasks; the time of those who still wait is over."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for wait in self._waits:
            wait.over.cancel()

    async def _look_here(self) -> None:
        while self._waits:
            for place, waits in self._places().items():
                if is_known_as_mine(self._here, place.held, place.partition):
                    self._look_at(place, waits)
            await asyncio.sleep(HERE_SECONDS)

    def _look_at(self, place: WaitedPlace, waits: Sequence[RowWait]) -> None:
        """Look up rows of this worker, unless nothing can have changed since the last look."""
        held = place.held
        try:
            numbers = held.partitions if held.held == "global" else [place.partition]
            position = sum(map(held.position, numbers))
            for wait in waits:
                if wait.last is None or wait.last.position != position:
                    wait.look(_seen(held, wait, numbers, position, self._here))
        except (NotSureError, StoreError):
            return  # The partition is not complete, or is moving: another look follows.

    async def _look_there(self) -> None:
        refresh = False
        while self._waits:
            elsewhere = {
                place: waits
                for place, waits in self._places().items()
                if not is_known_as_mine(self._here, place.held, place.partition)
            }
            if elsewhere:
                refresh = not await self._ask_all(elsewhere, refresh=refresh)
            await asyncio.sleep(REFRESH_SECONDS if refresh else THERE_SECONDS)

    def _places(self) -> Mapping[WaitedPlace, list[RowWait]]:
        found: defaultdict[WaitedPlace, list[RowWait]] = defaultdict(list)
        for wait in self._waits:
            wait.move_to(self._here.tables[wait.held.topic.name])
            found[wait.place].append(wait)
        return found

    async def _ask_all(self, elsewhere: Mapping[WaitedPlace, Sequence[RowWait]], *, refresh: bool) -> bool:
        """Ask other workers for their rows; return whether all of them answered."""
        peers = await self._here.directory.peers(refresh=refresh)
        asked = []
        for held in {place.held for place in elsewhere}:
            partitions = sorted(place.partition for place in elsewhere if place.held is held)
            shares = share(held, partitions, peers, self._here.worker)
            for peer, numbers in shares.elsewhere:
                waits = [wait for number in numbers for wait in elsewhere[WaitedPlace(held, number)]]
                asked.append(self._ask(peer, held, waits))
        answered = await asyncio.gather(*asked)
        return all(answered) and len(answered) > 0

    async def _ask(self, peer: Peer, held: LocalTable, waits: Sequence[RowWait]) -> bool:
        by_text: defaultdict[str, list[RowWait]] = defaultdict(list)
        for wait in waits:
            by_text[wait.text].append(wait)
        for some in some_keys(list(by_text), KEYS_BYTES):
            path = rows_path(held.topic.name, [("key", text) for text in some])
            answer = await self._hopping.ask(peer, path, HOP_WAIT)
            theirs = None if answer is None or answer.kind else answer.read(_WaitedRows)
            if theirs is None:
                return False
            positions = {each.partition: each.position for each in theirs.partitions}
            for text, row in zip(some, theirs.rows, strict=False):
                for wait in (each for each in by_text[text] if each.held is held):
                    partition = wait.place.partition
                    json = None if row.row == NO_ROW else bytes(row.row)
                    wait.look(Seen(json, row.revision, partition, positions.get(partition, 0), peer.worker))
        return True


class WaitedPlace(NamedTuple):
    """A partition of a table; 0 for a global table."""

    held: LocalTable
    partition: int


class _WaitedRow(msgspec.Struct):
    row: msgspec.Raw
    revision: int | None = None


class _Partition(msgspec.Struct):
    partition: int
    position: int


class _WaitedRows(msgspec.Struct):
    rows: list[_WaitedRow]
    partitions: list[_Partition]


def _seen(held: LocalTable, wait: RowWait, numbers: Sequence[int], position: int, here: Sources) -> Seen:
    """Look up a row of this worker; raise NotSureError if it may exist elsewhere or later."""
    found = held.stored.origin(wait.key)
    if found is None:
        require_certain(held, f"key {wait.text}", numbers, here.clock(), here.max_age)
        return Seen(None, None, numbers[0], position, here.worker)
    raw, origin = found
    fields = raw_row(held.stored, raw)
    row = bytes(fields) if isinstance(fields, msgspec.Raw) else msgspec.json.encode(fields)
    return Seen(row, origin.revision if held.topic.revision else None, origin.partition, position, here.worker)


ROW_WAITS = web.AppKey("row_waits", RowWaits)


def row_waits(request: web.Request) -> RowWaits:
    """Return the waits of this worker's clients."""
    return request.app[ROW_WAITS]


def is_gone(request: web.Request) -> bool:
    """Return whether the client of a request has closed its connection."""
    return request.transport is None or request.transport.is_closing()
