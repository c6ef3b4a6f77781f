"""What decides are made of in one assignment: for each partition the rows, wake-ups and near reads of a decide.

The inputs of a decide share them, whichever of its topics an event comes from. Starts none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from aiokafka.structs import TopicPartition

from larder.assembly.plan import DecidePlan, ServicePlan
from larder.declaring.decoding import decoder
from larder.declaring.sources import TableUse
from larder.delivery.dead_letters import Parking
from larder.delivery.delivery import Delivery, Output
from larder.local_tables.table import HeldTable
from larder.operators.decides.decide import DecideCounts, Decider, Deciding
from larder.operators.decides.near_rows import NearRows, Source
from larder.operators.decides.wake_ups import WakeUps
from larder.operators.owned_rows import OwnedRows


class DecideParts:
    """Makes each part when it is first asked for.

    `assigned` are the partitions of this assignment; `owned` gives a partition of a table that this service owns.
    """

    def __init__(
        self,
        plan: ServicePlan,
        assigned: Collection[TopicPartition],
        tables: Mapping[str, HeldTable],
        counts: Mapping[str, DecideCounts],
        owned: Callable[[Output, int], OwnedRows],
        delivery: Callable[[], Delivery],
        parking: Callable[[TopicPartition], Parking],
    ) -> None:
        self.wake_ups: dict[tuple[str, int], WakeUps] = {}
        self._plan = plan
        self._assigned = frozenset(assigned)
        self._tables = tables
        self._counts = counts
        self._delivery = delivery
        self._parking = parking
        self._rows = owned
        self._plans = {each.decide.name: each for each in plan.decides}
        self._deciders: dict[tuple[str, int], Decider] = {}

    def stage(self, tp: TopicPartition, plan: DecidePlan, parking: Parking) -> Deciding:
        """A decide on an input partition."""
        read = plan.compiled.events[plan.inputs.index(tp.topic)]
        return Deciding(tp, read, self._decider(plan, tp.partition), parking)

    def needed(self, plan: DecidePlan) -> Iterator[str]:
        """The tables that it may read."""
        yield plan.state.topic
        if plan.decide.reads_near:
            yield from (use.name for use in self._near_tables(plan))

    def waiting(self, partition: int, plans: Collection[DecidePlan]) -> Iterator[WakeUps]:
        """What has to be read back before events are decided on."""
        for plan in plans:
            self._decider(plan, partition)
            if plan.wake_ups is not None:
                yield self.wake_ups[plan.wake_ups.topic, partition]

    def _near_tables(self, plan: DecidePlan) -> list[TableUse]:
        """Global tables, and those whose partitions are assigned together with that of an event."""
        return [
            use
            for use in self._plan.service.tables
            if use.held == "global" or self._tables[use.name].partition_count == plan.state.partitions
        ]

    def _decider(self, plan: DecidePlan, partition: int) -> Decider:
        known = self._deciders.get((plan.decide.name, partition))
        return self._new_decider(plan, partition) if known is None else known

    def _new_decider(self, plan: DecidePlan, partition: int) -> Decider:
        near = NearRows(
            self._plan.service.name,
            partition,
            {use.name: self._near(use, partition) for use in self._near_tables(plan)},
        )
        # Only a wake-up is no record of an input, and is parked as one of its own topic.
        letters = self._parking(TopicPartition((plan.wake_ups or plan.state).topic, partition))
        decider = Decider(
            plan.compiled, self._rows(plan.state, partition), near, letters, plan.outputs, self._delivery,
            self._counts[plan.decide.name],
        )  # fmt: skip
        if plan.wake_ups is not None:
            wake_ups = WakeUps(
                self._rows(plan.wake_ups, partition), decider, self._inputs(plan, partition), self._delivery
            )
            decider.set_wake_up = wake_ups.set
            self.wake_ups[plan.wake_ups.topic, partition] = wake_ups
        self._deciders[plan.decide.name, partition] = decider
        return decider

    def _inputs(self, plan: DecidePlan, partition: int) -> Collection[TopicPartition]:
        return self._assigned & {TopicPartition(name, partition) for name in plan.inputs}

    def _near(self, use: TableUse, partition: int) -> Source:
        if (plan := self._plans.get(use.name)) is not None:
            return Source(lambda key: self._decider(plan, partition).row(key), plan.state.partitions)
        table, typed = self._tables[use.name], decoder(use.topic.row)

        def row(key: bytes) -> object:
            raw = table.rows(partition).raw(key)
            return None if raw is None else typed(raw)

        return Source(row, 0 if use.held == "global" else table.partition_count)
