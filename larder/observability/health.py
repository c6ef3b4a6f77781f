"""Whether a worker lives, and whether it is ready: judged from how far its partitions are, look after look. Pure.

*Live*: nothing here stands still that a restart would mend. A partition with lag whose position has not moved for
`STALL_SECONDS` is such a thing, since a restart makes consumers, producers and functions anew. What a restart would
not mend is no reason for one, and is told beside the answer: a broker that is away, outputs that it does not
acknowledge (they are made again already), an open transaction of another producer, joins that wait for a table (which
is judged by itself), a topic with another number of partitions. A worker that restarts for such a reason would only
lose its place, and could not answer meanwhile.

*Ready*: every table was caught up once since the start of the process, and the group has told which partitions it
has. It stays so: a local copy goes on being of use while partitions move, or the broker is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from larder.worker.activity import ENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from larder.worker.vitals import PartitionUse, Standing, Vitals

STALL_SECONDS = 30.0
"""In seconds. Each step of a commit may take 15, and is begun anew then: twice that is no delay."""

LOOK_SECONDS = 15.0
"""Between two looks no more than this counts as standing still: a process that was paused did not look, and did not
work either. A worker looks at itself every five seconds, and whenever it is asked."""

SWALLOWED_SECONDS = 15.0
"""More than `STALL_SECONDS` is given after the broker was away: a request that the network swallowed is given up after
40 s."""


class Stand(NamedTuple):
    """Where a partition stood at a look, for how long (seconds), and why it may; `end` as last known."""

    position: int
    end: int | None
    still: float
    excuse: str | None

    @property
    def lag(self) -> int:
        """How many offsets lie before the end; none where the end was never known."""
        return 0 if self.end is None else max(0, self.end - self.position)


class Look(NamedTuple):
    """All partitions as they stood at a time, in seconds on a clock that only runs forward."""

    at: float
    stands: Mapping[PartitionUse, Stand]


class HealthVerdict(NamedTuple):
    """Whether it is so; `reasons` why not, and `besides` what is no reason but should be known."""

    good: bool
    reasons: list[dict[str, Any]]
    besides: list[dict[str, Any]]


NOTHING = Look(0.0, {})
"""Before the first look."""


def look(before: Look, vitals: Vitals, now: float) -> Look:
    """Look again, `now` on the clock of `before`."""
    passed = min(max(0.0, now - before.at), LOOK_SECONDS)
    return Look(
        now, {each.place: _stand(before.stands.get(each.place), each, vitals, passed) for each in vitals.partitions}
    )


def _stand(before: Stand | None, seen: Standing, vitals: Vitals, passed: float) -> Stand:
    end = seen.end
    if end is None and before is not None and seen.position >= before.position:
        # Being measured anew: what was there before is still to be read.
        end = before.end
    stand = Stand(seen.position, end, 0.0, seen.excuse)
    if not vitals.answers:
        return stand._replace(still=-SWALLOWED_SECONDS, excuse="the broker is away")
    if before is None or seen.position != before.position or not stand.lag or seen.excuse is not None:
        return stand
    # What stood for a reason at the last look, or had nothing to do then, stands still from now on.
    return stand._replace(still=before.still + (passed if before.lag and before.excuse is None else 0.0))


def live(looked: Look, limit: float = STALL_SECONDS) -> HealthVerdict:
    """Judge by the last look; `limit` in seconds."""
    lagging = [(place, stand) for place, stand in looked.stands.items() if stand.lag]
    stalled = [
        {**_told(place, stand), "why": f"its position has not moved for {stand.still:.0f} s: a restart may mend that"}
        for place, stand in lagging
        if stand.still >= limit
    ]
    excused = [{**_told(place, stand), "why": stand.excuse} for place, stand in lagging if stand.excuse is not None]
    return HealthVerdict(not stalled, stalled, excused)


def line(verdict: HealthVerdict) -> str:
    """Give the line of a log about a worker that lives no more, or lives again."""
    if verdict.good:
        return "live again"
    where = [f"{next(iter(each.values()))}, partition {each['partition']}: {each['why']}" for each in verdict.reasons]
    return f"not live: {'; '.join(where)}"


def ready(vitals: Vitals) -> HealthVerdict:
    """Judge whether it can answer, and has its part of the work."""
    reasons: list[dict[str, Any]] = [
        {"table": name, "why": "it has not been caught up since the worker started"}
        for name, caught_up in vitals.tables.items()
        if not caught_up
    ]
    if vitals.doing in ENDING:
        reasons.append({"why": f"it is {vitals.doing}"})
    elif not vitals.joined:
        reasons.append({"why": f"the group has not been joined: {vitals.doing}"})
    besides = [] if vitals.answers else [{"why": "the broker is away: rows are as they were when it was last heard of"}]
    return HealthVerdict(not reasons, reasons, besides)


def _told(place: PartitionUse, stand: Stand) -> dict[str, Any]:
    return {
        place.kind: place.topic,
        "partition": place.partition,
        "position": stand.position,
        "end": stand.end,
        "lag": stand.lag,
        "still_s": round(max(0.0, stand.still), 1),
    }
