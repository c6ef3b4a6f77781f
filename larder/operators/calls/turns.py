"""The order in which the calls of one partition are made: by key one after the other, each when it is due.

Only the first call of a key can be due. Pure, and small: the calls themselves are in their table.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf


@dataclass(eq=False)
class CallTurn:
    """The turn of one call. `due` is when to look at it again, in seconds since the epoch.

    place    what it is ordered by: the key of its event, or its id.
    number   its place among the calls of the partition.
    begun    whether an attempt is under way.
    mine     whether this run of the worker has begun it.
    """

    id: str
    place: bytes
    number: int
    due: float
    begun: bool = False
    mine: bool = False


class CallTurns:
    """The turns of all calls of a partition."""

    def __init__(self) -> None:
        self._turns: dict[str, CallTurn] = {}
        self._queues: dict[bytes, deque[CallTurn]] = {}
        self._due: list[tuple[float, int, str]] = []
        self.last = 0

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, call: object) -> bool:
        return call in self._turns

    def get(self, call: str) -> CallTurn | None:
        """Return the turn of a call."""
        return self._turns.get(call)

    def oldest(self) -> str | None:
        """Return the id of the call that arrived first; None if there is none."""
        return next(iter(self._turns), None)

    def add(self, turn: CallTurn) -> None:
        """Add a call behind the others of its place; those that are added have rising numbers."""
        self._turns[turn.id] = turn
        self.last = max(self.last, turn.number)
        queue = self._queues.setdefault(turn.place, deque())
        queue.append(turn)
        if len(queue) == 1:
            self._push(turn)

    def look_at(self, turn: CallTurn, due: float) -> None:
        """Look at a call again at another time."""
        turn.due = due
        if self._queues[turn.place][0] is turn:
            self._push(turn)

    def remove(self, turn: CallTurn) -> None:
        """Remove a call; the next one of its place takes its turn."""
        del self._turns[turn.id]
        queue = self._queues[turn.place]
        if queue[0] is turn:
            queue.popleft()
        else:
            queue.remove(turn)
        if not queue:
            del self._queues[turn.place]
        else:
            self._push(queue[0])

    def is_free(self, place: bytes) -> bool:
        """Return whether no call waits at a place."""
        return place not in self._queues

    def first(self, now: float) -> CallTurn | None:
        """Return the first call that is due; it stays the first one until it is removed, or looked at later."""
        while self._due and self._due[0][0] <= now:
            due, _, call = self._due[0]
            turn = self._turns.get(call)
            if turn is not None and turn.due == due and self._queues[turn.place][0] is turn:
                return turn
            heappop(self._due)
        return None

    def next_due(self) -> float:
        """Return the time at which a call is due next; infinity if none waits."""
        return min((queue[0].due for queue in self._queues.values()), default=inf)

    def _push(self, turn: CallTurn) -> None:
        heappush(self._due, (turn.due, turn.number, turn.id))
        if len(self._due) > 2 * len(self._turns) + 100:
            self._due = [(each[0].due, each[0].number, each[0].id) for each in self._queues.values()]
            heapify(self._due)
