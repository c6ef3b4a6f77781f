"""Whether a worker is live, and whether it is ready, judged from the progress of its partitions. Pure.

*Live*: nothing stalls that a restart would fix. A partition stalls if it has lag and its position has not moved for
`STALL_SECONDS`. A restart creates new consumers, producers and functions. These do not make a worker unhealthy, but
the answer lists them: an unreachable broker, unacknowledged outputs (they are retried), an open transaction of another
producer, a join that waits for a table (which is judged separately), a topic whose number of partitions changed. A
restart would only cost the worker its partitions, and its answers meanwhile.

*Ready*: every table has been caught up once since the process started, and the group has assigned partitions. A worker
stays ready: its local copies are useful while partitions move, and while the broker is unreachable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from larder.worker.activity import ENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.worker.vitals import PartitionUse, Standing, Vitals

STALL_SECONDS = 30.0
"""Each step of a commit may take 15 s before it is retried; twice that is no longer a delay."""

LOOK_SECONDS = 15.0
"""At most this much time between two looks counts as a stall: a paused process neither looked nor worked. A worker
looks at itself every five seconds, and for each request."""

SWALLOWED_SECONDS = 15.0
"""Added to `STALL_SECONDS` after the broker was unreachable: a request that the network lost times out after 40 s."""


class Stand(NamedTuple):
    """The position of a partition at a look, its last known end, the seconds that it has stood still, its excuse."""

    position: int
    end: int | None
    still: float
    excuse: str | None

    @property
    def lag(self) -> int:
        """The number of offsets between the position and the end; 0 if the end was never known."""
        return 0 if self.end is None else max(0, self.end - self.position)


class Look(NamedTuple):
    """All partitions at one time; `at` is in seconds of a monotonic clock."""

    at: float
    stands: Mapping[PartitionUse, Stand]


class HealthVerdict(NamedTuple):
    """A verdict: `reasons` why it is not `good`, and `besides`, facts that are worth knowing but are not reasons."""

    good: bool
    reasons: list[dict[str, Any]]
    besides: list[dict[str, Any]]


NOTHING = Look(0.0, {})
"""Before the first look."""


def look(before: Look, vitals: Vitals, now: float) -> Look:
    """Look again; `now` is on the clock of `before`."""
    passed = min(max(0.0, now - before.at), LOOK_SECONDS)
    return Look(
        now, {each.place: _stand(before.stands.get(each.place), each, vitals, passed) for each in vitals.partitions}
    )


def _stand(before: Stand | None, seen: Standing, vitals: Vitals, passed: float) -> Stand:
    end = seen.end
    if end is None and before is not None and seen.position >= before.position:
        # The end is being measured again: the records before the last one are still to be read.
        end = before.end
    stand = Stand(seen.position, end, 0.0, seen.excuse)
    if not vitals.answers:
        return stand._replace(still=-SWALLOWED_SECONDS, excuse="the broker is away")
    if before is None or seen.position != before.position or not stand.lag or seen.excuse is not None:
        return stand
    # A partition that had an excuse at the last look, or nothing to do, stalls from now on.
    return stand._replace(still=before.still + (passed if before.lag and before.excuse is None else 0.0))


def live(looked: Look, limit: float = STALL_SECONDS) -> HealthVerdict:
    """Judge whether the worker is live, by the last look; `limit` in seconds."""
    lagging = [(place, stand) for place, stand in looked.stands.items() if stand.lag]
    stalled = [
        {
            **_described(place, stand),
            "why": f"its position has not moved for {stand.still:.0f} s: a restart may fix that",
        }
        for place, stand in lagging
        if stand.still >= limit
    ]
    excused = [
        {**_described(place, stand), "why": stand.excuse} for place, stand in lagging if stand.excuse is not None
    ]
    return HealthVerdict(not stalled, stalled, excused)


def line(verdict: HealthVerdict) -> str:
    """Return the log line for a worker that is no longer live, or live again."""
    if verdict.good:
        return "live again"
    where = [f"{next(iter(each.values()))}, partition {each['partition']}: {each['why']}" for each in verdict.reasons]
    return f"not live: {'; '.join(where)}"


def ready(vitals: Vitals, *, before: bool = False) -> HealthVerdict:
    """Judge whether the worker can answer, and whether it has its partitions.

    One that was ready `before` stays ready until it stops: it answers while partitions move, and while the service is
    being scaled, when the worker joins its group again and gets new tables.
    """
    reasons: list[dict[str, Any]] = [
        {"table": name, "why": "it has not been caught up since the worker started"}
        for name, caught_up in vitals.tables.items()
        if not caught_up
    ]
    if vitals.doing not in ENDING and not vitals.joined:
        reasons.append({"why": f"the group has not been joined: {vitals.doing}"})
    besides = [] if vitals.answers else [{"why": "the broker is away: rows are as they were when it was last heard of"}]
    if before:
        reasons, besides = [], [*reasons, *besides]
    if vitals.doing in ENDING:
        reasons.append({"why": f"it is {vitals.doing}"})
    return HealthVerdict(not reasons, reasons, besides)


def _described(place: PartitionUse, stand: Stand) -> dict[str, Any]:
    return {
        place.kind: place.topic,
        "partition": place.partition,
        "position": stand.position,
        "end": stand.end,
        "lag": stand.lag,
        "still_s": round(max(0.0, stand.still), 1),
    }
