"""Records of a join that wait for a row. The join decides again when a row arrives, and at their deadline.

Release is level-triggered. Whenever something may have changed (a row arrived, the partition was taken over), records
are looked up and decided on again, so no single event matters. Control never returns to the event loop between a lookup
that finds no row and the moment at which the record waits.
"""

from __future__ import annotations

from collections.abc import Iterable

from larder.declaring.compiled.joins import LookedUp
from larder.declaring.dead_letters import cause_of
from larder.declaring.missing import DeadLetter
from larder.operators.joins.decisions import Decision, GiveUp, JoinRows, JoinRule, WaitForRows
from larder.operators.joins.lookups import Lookups
from larder.operators.joins.outcomes import Outcomes
from larder.operators.joins.waiting_index import Partner, WaitingPlace
from larder.operators.joins.waiting_room import WaitingRoom


class Waiting:
    """Admits, releases and expires the records of one partition."""

    def __init__(self, room: WaitingRoom, lookups: Lookups, rule: JoinRule, outcomes: Outcomes) -> None:
        self._room = room
        self._places = room.places
        self._lookups = lookups
        self._rule = rule
        self._outcomes = outcomes

    @property
    def topic(self) -> str:
        """The waiting topic."""
        return self._room.topic

    @property
    def ready(self) -> bool:
        """Whether all waiting records were taken over."""
        return self._room.ready

    def __len__(self) -> int:
        return len(self._places)

    def full(self) -> bool:
        return self._room.full()

    def arrive(self, found: LookedUp, decision: Decision, deadline: float | None = None) -> Decision:
        """Keep a record that has to wait, and drop those that it replaces; return the final decision.

        `deadline` is that of a record that has waited before.
        """
        room, record = self._room, found.record
        if isinstance(decision, GiveUp):
            return decision
        if record.value is not None and room.replaces(record) and (cause := self._rule.why_invalid(record)):
            return GiveUp(DeadLetter, cause)
        if isinstance(decision, JoinRows) and room.blocks(record):
            decision = WaitForRows()
        room.supersede(record)
        if isinstance(decision, WaitForRows):
            self._admit(found, deadline)
        return decision

    def rows_changed(self, lookup: int, keys: Iterable[bytes]) -> None:
        """Release records whose rows in the table of `lookup` have changed and are in its store."""
        for key in keys if self._places else ():
            for place in self._places.waiting_for((lookup, key)):
                self._try_release(place)

    def tick(self, now: float) -> bool:
        """Take over waiting records once all tables are caught up, then expire overdue ones.

        Return whether there is more to do at once.
        """
        if not self._room.ready:
            return self._open()
        for place in self._room.overdue(now):
            if self._places.is_first(place):
                self._expire(place)
        return False

    def _open(self) -> bool:
        more = self._room.open()
        if self._room.ready:
            for place in self._places:
                self._try_release(place)
        return more

    def _admit(self, found: LookedUp, deadline: float | None) -> None:
        room, record = self._room, found.record
        if (known := room.known(record)) is not None:
            if room.holds(known, record):
                self._try_release(known)
                return
            self._expire(known)
        try:
            room.admit(record, _partners(found), deadline)
        except ValueError as error:
            self._outcomes.dead_letter(LookedUp(record), cause_of(error))
            return
        self._outcomes.counts.waited += deadline is None
        while room.overfull():
            self._expire(self._places.front())

    def _try_release(self, place: WaitingPlace) -> None:
        """Release a record if it is the first of its key and all its rows exist; then those behind it."""
        if self._places.is_first(place):
            self._release(place.key)

    def _release(self, key: bytes | None) -> None:
        """Release the records of a key, in order, until one has to keep waiting."""
        while (place := self._places.first(key)) is not None:
            if (found := self._find(place)) is None:
                continue
            decision = self._rule.decide(found)
            if isinstance(decision, WaitForRows):
                self._places.wait_for(place, _partners(found))
                return
            self._end(place, found, decision)

    def _expire(self, place: WaitingPlace) -> None:
        """End the wait of a record, whether or not its rows exist now; then release those behind it."""
        if (found := self._find(place)) is not None:
            decision = self._rule.decide(found)
            if isinstance(decision, WaitForRows):
                self._outcomes.quality.expire(found)
                decision = self._rule.give_up(found)
            self._end(place, found, decision)
        self._release(place.key)

    def _find(self, place: WaitingPlace) -> LookedUp | None:
        """Return a record with its current rows; None if it no longer waits."""
        record = self._room.record(place)
        return None if record is None else self._lookups.one(record)

    def _end(self, place: WaitingPlace, found: LookedUp, decision: Decision) -> None:
        """Act on the decision, then remove the record: it still waits if the join's function ends the worker."""
        self._outcomes.act(found, decision)
        self._outcomes.counts.released += isinstance(decision, JoinRows)
        self._room.leave(place, found.record.timestamp)


def _partners(found: LookedUp) -> tuple[Partner, ...]:
    """Return all rows that a record needs: any of them may be the missing one, or may disappear again."""
    return tuple((lookup, key) for lookup, key in enumerate(found.references) if key is not None)
