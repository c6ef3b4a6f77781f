"""What becomes of one record of a join: decided from the record and the rows that were found, and from nothing else.

Pure: it reads no table and acts on nothing. Whether a record has to queue behind another is for those who keep them.
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
    """All rows are there: join the record with them."""


@dataclass(frozen=True, slots=True)
class WaitForRows:
    """Keep the record until its rows are there, or its time is over."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not wait for rows: pass the record on without them, drop it, or dead-letter it with `cause`."""

    step: Terminal
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The record deletes its row, so delete the result; a join of events dead-letters it, with `cause`."""

    cause: str = ""


Decision: TypeAlias = JoinRows | WaitForRows | GiveUp | DeleteResult


class JoinRule:
    """Decides on the records of one partition.

    `checks` are those of a source that has rows, and `results` is what the rows become if they are joined into rows.
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
        """Decide on a record as it comes, or once more while it waits."""
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
        """Decide on a record that lacks a row and waits no longer."""
        why = self._compiled.why_missing(found.references, found.rows) if self._settle is DeadLetter else ""
        return GiveUp(self._settle, why)

    def why_no_row(self, record: Record) -> str:
        """Say why a record of a topic of rows is none; empty if it is one."""
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
