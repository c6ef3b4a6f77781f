"""Whether a group that refuses a static member has another process in its place, or has only forgotten its id. Pure.

A group writes down the ids of its members when a rebalance ends. If its coordinator goes away before that, the next one
knows the member by an earlier id: its own one, or that of a dead process of the same name. It refuses the later id in
the same words as that of a member which another process has replaced.
"""

from __future__ import annotations


class MemberIds:
    """The ids that a group gives one member, one after the other."""

    def __init__(self) -> None:
        """Begin without an id."""
        self._kept = ""
        self._coordinator_lost = False

    def given(self) -> None:
        """Note that the group has given a new id."""
        self._coordinator_lost = False

    def kept(self, member: str) -> None:
        """Note that a rebalance has ended with an id: each coordinator of the group knows it from now on."""
        self._kept = member

    def coordinator_lost(self) -> None:
        """Note that the coordinator may have gone away: it said so, or its connection ended."""
        self._coordinator_lost = True

    def may_be_forgotten(self, member: str) -> bool:
        """Return whether the group may have forgotten the id that it gave last."""
        return self._coordinator_lost and member != self._kept
