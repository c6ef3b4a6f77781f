"""One join on one input partition: from slices of orders to outputs, with rows from local tables.

Works column by column over a slice; a record that needs more thought than that (no partner, bad bytes,
too large, behind one that waits) is taken out and handled by itself, in its turn. Knows tables only as
something that answers `raw_many`, and topics only as outputs of the delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, cast

from larder.counters.join_quality import JoinQuality
from larder.declaring.compiled.joins import CompiledJoin
from larder.declaring.dead_letters import cause_of
from larder.declaring.missing import Drop, PassOn
from larder.declaring.records import Record
from larder.delivery.dead_letters import Parking
from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.local_tables.misplaced import OrderPlaces
from larder.operators.joins.row_results import RowResults
from larder.operators.user_code import no_exit
from larder.store.applying.row_checks import RowChecks

References = tuple[bytes | None, ...]
Rows = tuple[bytes | None, ...]


class RowSource(Protocol):
    """Rows by encoded key."""

    def raw_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...


class Waiting(Protocol):
    """Where orders without partner are kept, if they are."""

    def blocks(self, order: Record) -> bool:
        """An earlier order of the same key waits, so that this one has to queue behind it."""

    def replaces(self, order: Record) -> bool:
        """A record of the same row waits, which `order` would supersede."""

    def supersede(self, order: Record) -> None:
        """`order` is a later record of a row: what waits of that row waits no longer."""

    def admit(self, order: Record, references: References) -> None:
        """Keep `order`; `references` are its keys in the tables, for those rows that are missing."""

    @property
    def empty(self) -> bool: ...

    def full(self) -> bool:
        """It cannot take more just now."""


class Joining:
    """Joins the records of one partition."""

    def __init__(
        self,
        compiled: CompiledJoin,
        tables: Sequence[RowSource],
        output: Output,
        delivery: Delivery,
        parking: Parking,
        quality: JoinQuality,
    ) -> None:
        self._compiled = compiled
        self._tables = tables
        self._output = output
        self._delivery = delivery
        self._parking = parking
        self.quality = quality
        self.counts = quality.counts
        self.room: Waiting | None = None
        self.results: RowResults | None = None
        self.places: OrderPlaces | None = None
        self.checks: RowChecks | None = None

    @no_exit()
    def process(self, records: Sequence[Record]) -> None:
        # A record without a value makes references_many raise.
        values = cast("list[bytes]", [record.value for record in records])
        try:
            references = self._compiled.references_many(values)
        except ValueError:
            self._one_by_one(records)
            return
        rows = [self._rows(column, keys) for column, keys in zip(self._tables, references, strict=True)]
        if any(None in column for column in rows) or not (self.room is None or self.room.empty):
            self._with_missing(records, references, rows)
            return
        try:
            keys, outputs, overridden = self._compiled.output_many([record.key for record in records], values, rows)
        except ValueError:
            self._one_by_one(records)
            return
        self.counts.hits += len(records)
        self.counts.overridden += overridden
        if None in outputs:
            self._publish_wanted(records, keys, outputs)
        else:
            self._publish(records, keys, cast("Sequence[bytes]", outputs))

    def busy(self) -> bool:
        return self.room is not None and self.room.full()

    @no_exit()
    def join(self, order: Record, rows: Rows) -> None:
        """Publish the result for one order; `None` stands for a row that is passed on without."""
        try:
            keys, outputs, overridden = self._compiled.output_many(
                (order.key,), (order.value or b"",), [(row,) for row in rows]
            )
        except ValueError as error:
            self.park(order, cause_of(error))
            return
        self.counts.overridden += overridden
        self._publish_wanted((order,), keys, outputs)

    def partners(self, order: Record) -> tuple[References, Rows]:
        """Keys and rows for one order as the tables stand; raises ValueError for bad bytes."""
        references = self._compiled.references(order.value)
        rows = tuple(
            None if key is None else table.raw_many((key,))[0]
            for table, key in zip(self._tables, references, strict=True)
        )
        return references, rows

    def give_up(self, order: Record, references: References, rows: Rows) -> None:
        """The last step for an order that has no partner."""
        step = self._compiled.join.settle
        if step is PassOn:
            self.counts.passed_on += 1
            self.join(order, rows)
        elif step is Drop:
            self.counts.dropped += self._has_no_result(order)
        else:
            self._park(order, self._compiled.why_missing(references, rows), references, rows)

    def _rows(self, table: RowSource, keys: Sequence[bytes | None]) -> Sequence[bytes | None]:
        present = [key for key in keys if key is not None]
        if len(present) == len(keys):
            return table.raw_many(present)
        found = iter(table.raw_many(present))
        return [None if key is None else next(found) for key in keys]

    def _publish_wanted(
        self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes | None]
    ) -> None:  # fmt: skip
        wanted = [each for each in zip(records, keys, values, strict=True) if each[2] is not None]
        for record, value in zip(records, values, strict=True):
            if value is None:
                self.counts.unwanted += self._has_no_result(record)
        if wanted:
            self._publish(*zip(*wanted, strict=True))

    def _publish(self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        delivery = self._delivery
        try:
            headers = self._headers(records)
        except ValueError:
            self._publish_revised(records, keys, values)
            return
        if not delivery.takes_all(self._output, keys, values, headers):
            taken = [each for each in zip(records, keys, values, strict=True) if self._takes(*each)]
            if not taken:
                return
            records, keys, values = zip(*taken, strict=True)
            headers = self._headers(records)
        self.counts.joined += len(keys)
        delivery.emit_many(self._output, keys, values, [record.timestamp for record in records], keys, headers)

    def _publish_revised(self, records: Sequence[Record], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Publish the results of those rows that have a revision, and park the others."""
        for record, key, value in zip(records, keys, values, strict=True):
            try:
                self._headers((record,))
            except ValueError as error:
                self.park(record, cause_of(error))
            else:
                self._publish((record,), (key,), (value,))

    def _headers(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        return None if self.results is None else self.results.headers(records)

    def _takes(self, record: Record, key: bytes, value: bytes) -> bool:
        """The output can be published; parks the record if not."""
        (headers,) = self._headers((record,)) or (NO_HEADERS,)
        refusal = self._delivery.refusal(self._output, key, value, record.timestamp, headers)
        if refusal is not None:
            self.park(record, refusal)
        return refusal is None

    def _with_missing(
        self,
        records: Sequence[Record],
        references: Sequence[Sequence[bytes | None]],
        rows: Sequence[Sequence[bytes | None]],
    ) -> None:
        orders = list(zip(records, zip(*references, strict=True), zip(*rows, strict=True), strict=True))
        self.quality.lack([each for each in orders if None in each[2]])
        for record, keys, found in orders:
            self._one(record, keys, found)

    def _one_by_one(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.value is None and self.results is not None:
                self._deleted(record, self.results)
                continue
            try:
                references, rows = self.partners(record)
            except ValueError as error:
                if self.room is not None and record.value is None:
                    self.room.supersede(record)
                self.park(record, cause_of(error))
            else:
                if None in rows:
                    self.quality.lack([(record, references, rows)])
                self._one(record, references, rows)

    def _one(self, record: Record, references: References, rows: Rows) -> None:
        missing = None in rows
        if missing and self.places is not None and (cause := self.places.cause(record, references, rows)):
            self._park(record, cause, references, rows)
            return
        room = self.room
        if room is not None and room.replaces(record) and (cause := self._why_no_row(record)):
            self.park(record, cause)
            return
        if room is not None and (missing or room.blocks(record)):
            room.admit(record, references)
        elif missing:
            self.give_up(record, references, rows)
        else:
            self.counts.hits += 1
            if room is not None:
                room.supersede(record)
            self.join(record, rows)

    def _why_no_row(self, record: Record) -> str:
        """Say why a record of a topic of rows is none; empty if it is one."""
        try:
            if self.checks is not None:
                self.checks.check_row(record)
        except ValueError as error:
            return cause_of(error)
        return ""

    def _deleted(self, record: Record, results: RowResults) -> None:
        try:
            results.check_deletion(record)
        except ValueError as error:
            self.park(record, cause_of(error))
            return
        if self.room is not None:
            self.room.supersede(record)
        results.deleted(record)

    def park(self, record: Record, cause: str) -> None:
        self._park(record, cause, (), ())

    def _park(self, record: Record, cause: str, references: References, rows: Rows) -> None:
        self.quality.parks(record, cause, references, rows)
        self._parking.park(record, cause)
        if self.results is not None:
            with suppress(ValueError):
                self.results.none(record)

    def _has_no_result(self, record: Record) -> bool:
        """What an older revision of the row had is deleted; parks what is no row, and says so."""
        try:
            if self.results is not None:
                self.results.none(record)
        except ValueError as error:
            self.park(record, cause_of(error))
            return False
        return True
