"""How a service gets another number of partitions: the phases, the records about them, and what is copied.

Public topics keep their numbers. What the service keeps for itself gets new topics, those of the next *generation*.
All workers pause, the owners of the old partitions copy them, and one record switches all workers to the new topics.
Until then nothing of the old generation has changed, so that the growth can be cancelled. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from larder.declaring import stored_calls
from larder.declaring.counted_requests import by_place, requests_name
from larder.declaring.facts import input_name, replays_name, waiting_name, wake_ups_name
from larder.declaring.generations import Generation, placed
from larder.declaring.joins import Join
from larder.declaring.service import Service
from larder.declaring.stored_calls import calls_name, outcomes_name
from larder.declaring.topics import Rekeyed


class GrowthPhase(StrEnum):
    """Where a growth stands."""

    PAUSING = "pausing"
    COPYING = "copying"
    FILLING = "filling"
    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class PhaseFacts(NamedTuple):
    """What happens in a phase, when it ends, and what works meanwhile."""

    does: str
    ends: str
    joins: str
    reads: str
    cancel: bool


PHASES: Final[Mapping[GrowthPhase, PhaseFacts]] = {
    GrowthPhase.PAUSING: PhaseFacts(
        "the workers stop processing records, and join their group again",
        "when all members have paused, and no transaction is open",
        "pause",
        "go on",
        cancel=True,
    ),
    GrowthPhase.COPYING: PhaseFacts(
        "the owner of each old partition copies its rows, wake-ups and waiting records",
        "when all old partitions are copied to their ends",
        "pause",
        "go on",
        cancel=True,
    ),
    GrowthPhase.FILLING: PhaseFacts(
        "the workers process records in the new partitions, and fill new mirrors",
        "when all mirrors have all rows",
        "go on, with a mirrored table once it has all rows",
        "go on",
        cancel=False,
    ),
    GrowthPhase.DONE: PhaseFacts("nothing is left to do", "with the next growth", "go on", "go on", cancel=False),
}
"""The phases of a growth that succeeds, in order."""

OPEN: Final = frozenset({GrowthPhase.PAUSING, GrowthPhase.COPYING})
"""The phases in which the generation before is still the one that counts."""

UNDER_WAY: Final = OPEN | {GrowthPhase.FILLING}
"""The phases in which something happens."""


class ScaleRequest(msgspec.Struct, frozen=True, tag="request"):
    """A request for another number of partitions; it is cancelled unless it has switched `within` seconds."""

    id: str
    partitions: int
    within: float
    at: float

    @property
    def key(self) -> bytes:
        """The key of its record: the last request counts."""
        return b"request"


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """A request to cancel the growth of another request."""

    id: str

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return b"cancel"


class Growth(msgspec.Struct, frozen=True, tag="growth"):
    """Where a growth stands. Only the driver writes it, in a unit that its group fences.

    id          the request.
    step        rises whenever the workers have to join their group with another plan.
    generation  the next one, or the current one once it has switched.
    at          when the workers paused, in seconds since the epoch.
    began       when the phase began.
    highest     the highest number of a generation so far, also of one that was cancelled.
    until       when the growth is cancelled unless it has switched, in seconds since the epoch.
    reason      why it was cancelled or refused.
    """

    id: str
    step: int
    phase: GrowthPhase
    generation: Generation
    at: float
    began: float
    until: float = 0.0
    reason: str = ""
    highest: int = 0

    @property
    def key(self) -> bytes:
        """The key of its record: the last one counts."""
        return b"growth"

    def status(self) -> dict[str, Any]:
        """Return where it stands as plain values, for pages, commands and metrics."""
        return {
            "phase": self.phase.value,
            "generation": self.generation.number,
            "partitions": sorted(set(self.generation.counts.values())),
            "began": self.at,
            "phase_began": self.began,
            "until": self.until if self.phase in OPEN else None,
            "reason": self.reason or None,
        }


class Filled(msgspec.Struct, frozen=True, tag="filled"):
    """A worker has all rows of its partitions of mirrored tables; `group` is the generation of the consumer group."""

    worker: str
    step: int
    group: int

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return f"filled {self.worker}".encode()


Record: TypeAlias = ScaleRequest | Cancel | Growth | Filled


def read_record(value: bytes) -> Record | None:
    """Decode a record about a growth; return None for any other value."""
    try:
        found: Record = msgspec.json.decode(value, type=ScaleRequest | Cancel | Growth | Filled)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found


def encode(record: Record) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.encode(record)


class GrowthState(NamedTuple):
    """What the records of a service's growth say together."""

    growth: Growth | None = None
    request: ScaleRequest | None = None
    cancelled: str = ""
    filled: frozenset[Filled] = frozenset()

    @property
    def step(self) -> int:
        """The step of the plan by which the workers have to work."""
        return 0 if self.growth is None else self.growth.step

    @property
    def phase(self) -> GrowthPhase:
        """The phase; done if the service has never grown."""
        return GrowthPhase.DONE if self.growth is None else self.growth.phase

    @property
    def asked(self) -> ScaleRequest | None:
        """The request that nobody has handled, or cancelled, yet."""
        if self.request is None or self.request.id == self.cancelled:
            return None
        return None if self.growth is not None and self.growth.id == self.request.id else self.request

    def why_cancel(self, now: float) -> str:
        """Return why an open growth has to be cancelled; "" if it does not."""
        if self.growth is None or self.growth.phase not in OPEN:
            return ""
        if self.growth.id == self.cancelled:
            return "it was cancelled by command"
        if now > self.growth.until:
            return f"it was still {self.growth.phase.value} at its time limit"
        return ""


def state_of(records: Iterable[Record]) -> GrowthState:
    """Return what records say, in the order of the log."""
    state = GrowthState()
    filled: dict[str, Filled] = {}
    for each in records:
        if isinstance(each, Growth):
            state = state._replace(growth=each)
        elif isinstance(each, ScaleRequest):
            state = state._replace(request=each)
        elif isinstance(each, Cancel):
            state = state._replace(cancelled=each.id)
        else:
            filled[each.worker] = each
    return state._replace(filled=frozenset(filled.values()))


def next_generation(service: Service, current: Generation, partitions: int, highest: int) -> Generation:
    """Return the generation after `current`, in which topics meet in that number of partitions.

    `highest` is the highest number of a generation so far, also of one that was cancelled: none is used twice.
    """
    new = Generation(highest + 1, dict.fromkeys(current.counts, partitions), {})
    run = placed(service, current)
    before = {use.name for use in run.tables if use.mirrored}
    mirrors = [use.name for use in placed(service, new).tables if use.mirrored]
    filled = {name: current.counts[name] for name in mirrors if name not in before}
    reacted = {each.table.name for each in run.reactions if each.table.build is None} & current.counts.keys()
    return msgspec.structs.replace(new, filled=filled, reacted=tuple(sorted(reacted)))


Kind: TypeAlias = Literal["rows", "waiting", "rest"]


class Copy(NamedTuple):
    """One topic of a generation and the topic of the next one into which it is copied.

    rows     all records, by their key: tables that only the service writes.
    waiting  the records that wait in the topic, in their order, for the join of that `step`.
    rest     the records behind the committed offsets, by the field of `by`: an input that nobody has processed yet.
    """

    topic: str
    into: str
    kind: Kind
    step: str = ""
    by: Rekeyed | None = None


def copies(before: Service, after: Service) -> list[Copy]:
    """Return what is copied between two generations of a service, as its workers run it in each."""
    return list(dict.fromkeys(_copies(before, after)))


def _copies(before: Service, after: Service) -> Iterator[Copy]:
    states = {decide.state.name for decide in before.decides}
    for old, new in zip(before.tables, after.tables, strict=True):
        if new.build is not None and old.read_from != new.read_from and (old.mirrored or old.name in states):
            yield Copy(old.read_from.name, new.build, "rows")
    yield from _beside_states(before, after)
    yield from _calls(before, after)
    for old_join, new_join in zip(before.joins, after.joins, strict=True):
        yield from _waiting(before, old_join, after, new_join)
    mirrored = {use.build for use in before.tables if use.mirrored}
    for source in before.rekeyed:
        name = input_name(before, source)
        new_source = replace(source, generation=after.generation.number if after.generation else 1)
        into = input_name(after, new_source)
        if name in mirrored or into not in after.counts or name == into:
            continue
        yield Copy(name, into, "rest", by=new_source)
        if not source.of_rows:
            yield Copy(replays_name(before.name, name), replays_name(after.name, into), "rest", by=new_source)


def _beside_states(before: Service, after: Service) -> Iterator[Copy]:
    for old, new in zip(before.decides, after.decides, strict=True):
        if old.wakes and old.state.generation != new.state.generation:
            yield Copy(wake_ups_name(before.name, old), wake_ups_name(after.name, new), "rows")
    for request, other in zip(before.requests, after.requests, strict=True):
        name, into = requests_name(before.name, request.state), requests_name(after.name, other.state)
        if name != into:
            yield Copy(name, into, "rows", by=by_place(name))


def _calls(before: Service, after: Service) -> Iterator[Copy]:
    for old, new in zip(before.calls, after.calls, strict=True):
        if old.generation != new.generation:
            rows, into = (calls_name(before.name, each.name, each.generation) for each in (old, new))
            yield Copy(rows, into, "rows", by=stored_calls.by_place(rows))
            outcomes, others = (outcomes_name(before.name, each.name, each.generation) for each in (old, new))
            yield Copy(outcomes, others, "rest")


def _waiting(before: Service, old: Join, after: Service, new: Join) -> Iterator[Copy]:
    if old.wait is None or waiting_name(before.name, old) == waiting_name(after.name, new):
        return
    into = input_name(after, new.source)
    by = new.source if isinstance(new.source, Rekeyed) else None
    yield Copy(waiting_name(before.name, old), into, "waiting", new.step, by)
