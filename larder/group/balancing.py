"""Which member of a group processes which partition, and which one is its standby. Pure: claims to shares.

It handles one group of co-partitioned topics at a time: a partition number is assigned for all of its topics. Every
partition is assigned once, and the members' partition counts differ by at most one. Of all such assignments it chooses
the cheapest. Moving a partition has a cost, and so has each record that its member must read although another
member has it.

This is an assignment problem with equal quotas, solved by shortest augmenting paths: Ahuja, Magnanti, Orlin,
"Network Flows", chapter 9.7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

MOVE_OFFSETS = 100_000
"""The cost of a move, in offsets to read: the records of half a second at full load. Two members may report their
positions this far apart. So a partition leaves a member that is caught up only to balance the group, and one that is
far behind yields to a warm copy."""


class MemberClaim(NamedTuple):
    """A member's claims: the partitions that it processed, its standbys, and the positions of its stores.

    `reached` is the sum of the stored positions by partition; a partition without a store is at 0.
    """

    had: Collection[int] = ()
    stood_by: Collection[int] = ()
    reached: Mapping[int, int] = {}


class Share(NamedTuple):
    """The partitions that a member gets."""

    active: frozenset[int] = frozenset()
    standby: frozenset[int] = frozenset()


def share(partitions: int, claims: Mapping[str, MemberClaim], *, standby: bool) -> dict[str, Share]:
    """Assign the partitions of one group; of equal members the first ones get more. No partition is claimed twice.

    With `standby`, each partition also gets a standby on another member, if there is one.
    """
    members = list(claims)
    behind = _behind(partitions, list(claims.values()))
    active = balance([
        [(number not in claims[name].had) * MOVE_OFFSETS + cost for name, cost in zip(members, row, strict=True)]
        for number, row in enumerate(behind)
    ])  # fmt: skip
    second: Sequence[int] = []
    if standby and len(members) > 1:
        never = partitions * MOVE_OFFSETS + 1 + sum(map(max, behind))
        second = balance([
            [
                (place == active[number]) * never + (number not in claims[name].stood_by) * MOVE_OFFSETS + row[place]
                for place, name in enumerate(members)
            ]
            for number, row in enumerate(behind)
        ])  # fmt: skip
    return {name: Share(_of(place, active), _of(place, second)) for place, name in enumerate(members)}


def _of(place: int, given: Sequence[int]) -> frozenset[int]:
    return frozenset(number for number, to in enumerate(given) if to == place)


def _behind(partitions: int, claims: Sequence[MemberClaim]) -> list[list[int]]:
    """Return, by partition and member, how many offsets a member lags behind the most advanced one."""
    reached = [[claim.reached.get(number, 0) for claim in claims] for number in range(partitions)]
    return [[max(row) - each for each in row] for row in reached]


def balance(costs: Sequence[Sequence[int]]) -> list[int]:
    """Assign each row (a partition) a column (a member), as evenly as possible, at the lowest total cost."""
    columns = len(costs[0]) if costs else 1
    slots = _Slots(costs, len(costs) // columns, len(costs) % columns)
    for row in range(len(costs)):
        slots.add(row)
    return slots.given()


class _Step(NamedTuple):
    """How a column got one row too many: another column moved a row to it, or its larger quota."""

    before: int
    row: int | None


class _Slots:
    """The rows of each column so far, always at the lowest cost; `extra` columns may have one row more than `quota`."""

    def __init__(self, costs: Sequence[Sequence[int]], quota: int, extra: int) -> None:
        self._costs = costs
        self._quota = quota
        self._extra = extra
        self._rows: list[set[int]] = [set() for _ in (costs[0] if costs else ())]

    def given(self) -> list[int]:
        return [next(at for at, rows in enumerate(self._rows) if row in rows) for row in range(len(self._costs))]

    def add(self, row: int) -> None:
        """Assign a row to a column; others may move along the cheapest path to a column with room."""
        reached, steps = list(self._costs[row]), dict[int, _Step]()
        free = [at for at, rows in enumerate(self._rows) if self._has_room(len(rows))]
        # No move makes anything cheaper yet, so the cheapest column is itself the end of a cheapest path.
        if min(reached[at] for at in free) > min(reached):
            self._spread(reached, steps)
        at = min(free, key=lambda each: (reached[each], len(self._rows[each]), each))
        while at in steps:
            before, moved = steps[at]
            if moved is not None:
                self._rows[before].remove(moved)
                self._rows[at].add(moved)
            at = before
        self._rows[at].add(row)

    def _has_room(self, count: int) -> bool:
        return count < self._quota or (count == self._quota and self._extras_used() < self._extra)

    def _extras_used(self) -> int:
        return sum(len(rows) > self._quota for rows in self._rows)

    def _spread(self, reached: list[int], steps: dict[int, _Step]) -> None:
        """Find the cheapest way for each column to take the surplus row (Bellman-Ford)."""
        moves = [(a, b, *self._move(a, b)) for a, rows in enumerate(self._rows) if rows for b in self._others(a)]
        changed = True
        while changed:
            changed = False
            for before, at, cost, row in moves:
                if reached[before] + cost < reached[at]:
                    reached[at], steps[at], changed = reached[before] + cost, _Step(before, row), True

    def _others(self, column: int) -> list[int]:
        return [at for at in range(len(self._rows)) if at != column]

    def _move(self, before: int, at: int) -> tuple[int, int | None]:
        """Return the cheapest way to move the surplus from `before` to `at`: by a row, or by the larger quota."""
        cost, row = min((self._costs[row][at] - self._costs[row][before], row) for row in self._rows[before])
        if cost > 0 and len(self._rows[before]) == self._quota < len(self._rows[at]):
            return 0, None
        return cost, row
