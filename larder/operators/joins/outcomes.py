"""Acts on the decisions of a join: publishes results, deletes them, drops and dead-letters records, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from larder.counters.join_quality import JoinQuality
from larder.declaring.compiled.joins import CompiledJoin, LookedUp
from larder.declaring.dead_letters import cause_of
from larder.declaring.missing import DeadLetter, Drop, PassOn
from larder.declaring.records import Record
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.kafka.partitioner import partition_of
from larder.operators.context import PartitionContext
from larder.operators.joins.decisions import Decision, DeleteResult, GiveUp, JoinRows, WaitForRows
from larder.operators.joins.lookups import Columns
from larder.operators.joins.row_results import RowResults
from larder.operators.user_code import no_exit


class Outcomes:
    """Carries out the decisions on one partition; `rows` has the results of rows if the join produces rows."""

    def __init__(
        self,
        compiled: CompiledJoin,
        output: Output,
        at: PartitionContext,
        quality: JoinQuality,
        rows: RowResults | None = None,
    ) -> None:
        self.quality = quality
        self.counts = quality.counts
        self._compiled = compiled
        self._output = output
        self._delivery = at.delivery
        self._dead_letters = at.dead_letters()
        self._carried = at.carried()
        self._rows = rows

    def act(self, found: LookedUp, decision: Decision) -> None:
        """Carry out a decision; a waiting record is kept elsewhere."""
        match decision:
            case JoinRows():
                self._join(found)
            case GiveUp():
                self._give_up(found, decision)
            case DeleteResult():
                self._delete_result(found, decision)
            case WaitForRows():
                pass

    def join_all(self, records: Sequence[Record], columns: Columns) -> bool:
        """Join a slice whose rows were all found; return False and do nothing if a record cannot be joined."""
        try:
            keys, values, overridden = self._compiled.output_many(
                [record.key for record in records], columns.values, columns.rows
            )
        except ValueError:
            return False
        self.counts.hits += len(records)
        self.counts.overridden += overridden
        self._publish(records, keys, values)
        return True

    def dead_letter(self, found: LookedUp, cause: str) -> None:
        """Dead-letter a record; if it is a row, delete the result of its older revision."""
        self.quality.dead_letter(found, cause)
        self._dead_letters.add(found.record, cause)
        if self._rows is not None:
            with suppress(ValueError):
                self._delete(found.record, self._rows.without_result(found.record))

    @no_exit()
    def _join(self, found: LookedUp) -> None:
        """Join one record; None among its rows stands for a row that it is joined without."""
        record = found.record
        try:
            keys, values, overridden = self._compiled.output_many(
                (record.key,), (record.value or b"",), [(row,) for row in found.rows]
            )
        except ValueError as error:
            self.dead_letter(LookedUp(record), cause_of(error))
            return
        self.counts.overridden += overridden
        self._publish((record,), keys, values)

    def _give_up(self, found: LookedUp, decision: GiveUp) -> None:
        if decision.step is DeadLetter:
            self.dead_letter(found, decision.cause)
        elif decision.step is PassOn:
            self.counts.passed_on += 1
            self._join(found)
        elif decision.step is Drop:
            self.counts.dropped += self._has_no_result(found.record)

    def _delete_result(self, found: LookedUp, decision: DeleteResult) -> None:
        if self._rows is None:
            self.dead_letter(found, decision.cause)
        elif (headers := self._rows.deletion(found.record)) is not None:
            self._delete(found.record, headers)

    def _publish(self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Publish results; None stands for a result that the join's function rejected."""
        if None in values:
            if self._rows is not None:
                self._publish_each(records, keys, values)
                return
            records, keys, values = self._wanted(records, keys, values)
            if not records:
                return
        try:
            headers = self._headers(records)
            all_taken = self._delivery.takes_all(self._output, keys, values, headers)
        except ValueError:
            all_taken = False
        if all_taken:
            self._emit(records, keys, values, headers)
        else:
            self._publish_each(records, keys, values)

    def _wanted(
        self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes | None]
    ) -> tuple[Sequence[Record], Sequence[bytes], Sequence[bytes | None]]:
        """Leave out and count the events whose results are not wanted."""
        wanted = [number for number, value in enumerate(values) if value is not None]
        self.counts.unwanted += len(values) - len(wanted)
        return [records[each] for each in wanted], [keys[each] for each in wanted], [values[each] for each in wanted]

    def _publish_each(self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Publish the results that can be published; those of rows one by one, in order with deletions."""
        results = zip(records, keys, values, strict=True)
        if self._rows is None:
            if taken := [each for each in results if self._takes(*each)]:
                self._emit(*zip(*taken, strict=True))
            return
        for record, key, value in results:
            if self._takes(record, key, value):
                self._emit((record,), (key,), (value,), self._headers((record,)))

    def _takes(self, record: Record, key: bytes, value: bytes | None) -> bool:
        """Return whether there is a result that can be published; if not, deal with its record."""
        if value is None:
            self.counts.unwanted += self._has_no_result(record)
            return False
        try:
            (headers,) = self._headers((record,)) or (NO_HEADERS,)
            self._delivery.check(self._output, key, value, record.timestamp, headers)
        except ValueError as error:
            self.dead_letter(LookedUp(record), cause_of(error))
            return False
        return True

    def _emit(
        self,
        records: Sequence[Record],
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        self.counts.joined += len(keys)
        timestamps, carried = [record.timestamp for record in records], self._carried.of_all(records)
        self._delivery.emit_many(self._output, keys, values, timestamps, keys, headers, carried)

    def _headers(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        return None if self._rows is None else self._rows.headers(records)

    def _has_no_result(self, record: Record) -> bool:
        """Delete the result of the row's older revision; dead-letter the record and return False if it is not a row."""
        try:
            if self._rows is not None:
                self._delete(record, self._rows.without_result(record))
        except ValueError as error:
            self.dead_letter(LookedUp(record), cause_of(error))
            return False
        return True

    def _delete(self, record: Record, headers: Headers) -> None:
        if record.key is not None:
            partition = partition_of(record.key, self._output.partitions)
            carried = self._carried.of(record)
            self._delivery.emit(self._output, partition, record.key, None, record.timestamp, headers, carried)
