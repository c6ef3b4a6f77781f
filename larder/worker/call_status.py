"""What becomes of the calls of this worker, as plain values. Read on demand, never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from larder.operators.calls.breaker import BreakerState
from larder.operators.calls.calls import PartitionCalls
from larder.operators.calls.outside import Outside
from larder.worker.membership import Membership
from larder.worker.runtime import Runtime


class CallStatus(NamedTuple):
    """The calls of one declaration in this worker.

    waiting  how many calls are not done in its partitions, with those that run.
    running  how many run, with those of partitions that have gone elsewhere; `hanging` of these are out of time.
    oldest   when the oldest of those that wait arrived, in seconds since 1970; None if none waits.
    full     the partitions with `at_most` calls, whose events wait.
    breaker  the state of its circuit breaker; while that is open, `until` says when the next call is tried.
    """

    waiting: int = 0
    running: int = 0
    hanging: int = 0
    oldest: float | None = None
    full: Sequence[int] = ()
    breaker: BreakerState = BreakerState.CLOSED
    until: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for answers."""
        return {
            "waiting": self.waiting,
            "running": self.running,
            "hanging": self.hanging,
            "oldest": self.oldest,
            "full": list(self.full),
            "breaker": {"state": self.breaker.value, "until": self.until},
        }


def call_statuses(runtime: Runtime, membership: Membership | None) -> dict[str, CallStatus]:
    """Return the status of each call of the service, by name; before there is a group, no calls wait."""
    held = {} if membership is None else membership.assignments.calls
    return {
        call.name: call_status(
            {each.events.partition: each for (name, _), each in held.items() if name == call.name},
            runtime.callers.known(call.name),
        )
        for call in runtime.service.calls
    }


def call_status(partitions: Mapping[int, PartitionCalls], outside: Outside | None) -> CallStatus:
    """Return the status of a call; `outside` runs its calls, and is None before the first assignment."""
    arrived = [since for each in partitions.values() if (since := each.oldest()) is not None]
    found = CallStatus(
        waiting=sum(map(len, partitions.values())),
        oldest=min(arrived, default=None),
        full=sorted(number for number, each in partitions.items() if each.at_most()),
    )
    if outside is None:
        return found
    breaker = outside.breaker
    return found._replace(
        running=len(outside.running),
        hanging=outside.hanging,
        breaker=breaker.state,
        until=None if breaker.state is BreakerState.CLOSED else breaker.until,
    )
