"""One join on one input partition: from slices of records to outputs, with rows from local tables.

If all records of a slice can be joined, the slice is processed as a whole, column by column. Otherwise each record is
decided and acted on in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from larder.declaring.compiled.joins import LookedUp
from larder.declaring.records import Record
from larder.operators.joins.decisions import JoinRows, JoinRule
from larder.operators.joins.lookups import Lookups
from larder.operators.joins.outcomes import Outcomes
from larder.operators.joins.waiting import Waiting
from larder.operators.user_code import no_exit


class JoinStep:
    """Joins the records of one partition; those without a partner may go to `waiting`."""

    def __init__(self, lookups: Lookups, rule: JoinRule, outcomes: Outcomes, waiting: Waiting | None = None) -> None:
        self._lookups = lookups
        self._rule = rule
        self._outcomes = outcomes
        self._waiting = waiting

    @no_exit()
    def process(self, records: Sequence[Record]) -> None:
        try:
            columns = self._lookups.many(records)
        except ValueError:
            self._one_by_one([self._lookups.one(record) for record in records])
            return
        if not (columns.complete() and self._nothing_waits() and self._outcomes.join_all(records, columns)):
            self._one_by_one(columns.each(records))

    @no_exit()
    def take_back(self, record: Record, deadline: float) -> None:
        """Process a record that waited in an earlier generation; `deadline` in seconds since the epoch."""
        found = self._lookups.one(record)
        self._decide(found, deadline)

    def busy(self) -> bool:
        """Return whether too many records are on their way to the waiting topic."""
        return self._waiting is not None and self._waiting.full()

    def _nothing_waits(self) -> bool:
        return self._waiting is None or not len(self._waiting)

    def _one_by_one(self, found: Sequence[LookedUp]) -> None:
        self._outcomes.quality.lack([each for each in found if None in each.rows])
        for each in found:
            self._decide(each)

    def _decide(self, found: LookedUp, deadline: float | None = None) -> None:
        decision = self._rule.decide(found)
        if self._waiting is not None:
            decision = self._waiting.arrive(found, decision, deadline)
        self._outcomes.counts.hits += isinstance(decision, JoinRows)
        self._outcomes.act(found, decision)
