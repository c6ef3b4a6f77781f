"""Decides what to do with one record of a join, from the record and its rows alone.

Pure: it reads no table and has no effects. The waiting room decides whether a record must queue behind another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from larder.declaring.compiled.joins import CompiledJoin, LookedUp
from larder.declaring.dead_letters import cause_of
from larder.declaring.missing import DeadLetter, Terminal
from larder.declaring.records import Record
from larder.local_tables.misplaced import RecordPlaces
from larder.operators.joins.row_results import RowResults
from larder.store.applying.row_checks import RowChecks


@dataclass(frozen=True, slots=True)
class JoinRows:
    """All rows exist: join the record with them."""


@dataclass(frozen=True, slots=True)
class WaitForRows:
    """Keep the record until its rows arrive or its deadline passes."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop waiting for rows: pass the record on without them, drop it, or dead-letter it with `cause`."""

    step: Terminal
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The record deletes its row, so delete the result; a join of events dead-letters it, with `cause`."""

    cause: str = ""


Decision: TypeAlias = JoinRows | WaitForRows | GiveUp | DeleteResult


class JoinRule:
    """Decides on the records of one partition.

    `checks` validate the rows of a source of rows; `results` has their results if the join produces rows.
    """

    def __init__(
        self,
        compiled: CompiledJoin,
        places: RecordPlaces,
        checks: RowChecks | None = None,
        results: RowResults | None = None,
    ) -> None:
        self._compiled = compiled
        self._places = places
        self._checks = checks
        self._results = results
        self._waits = compiled.join.wait is not None
        self._settle = compiled.join.settle

    def decide(self, found: LookedUp) -> Decision:
        """Decide on a record when it arrives, and again while it waits."""
        if found.record.value is None:
            return self._deletion(found)
        if found.unreadable:
            return GiveUp(DeadLetter, found.unreadable)
        if None not in found.rows:
            return JoinRows()
        if cause := self._places.cause(found):
            return GiveUp(DeadLetter, cause)
        return WaitForRows() if self._waits else self.give_up(found)

    def give_up(self, found: LookedUp) -> GiveUp:
        """Decide on a record that lacks a row and no longer waits."""
        why = self._compiled.why_missing(found.references, found.rows) if self._settle is DeadLetter else ""
        return GiveUp(self._settle, why)

    def why_invalid(self, record: Record) -> str:
        """Return why a record of a topic of rows is not a valid row; empty if it is."""
        try:
            if self._checks is not None:
                self._checks.check_row(record)
        except ValueError as error:
            return cause_of(error)
        return ""

    def _deletion(self, found: LookedUp) -> Decision:
        if self._results is None:
            return DeleteResult(found.unreadable)
        try:
            self._results.check_deletion(found.record)
        except ValueError as error:
            return GiveUp(DeadLetter, cause_of(error))
        return DeleteResult()
