"""Builds the lanes for an assignment: for each partition a handler, made of what is declared on its topic.

Tables come first, then those that nobody declared, then inputs, which is also their priority. Knows all parts
of the engine and starts none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, starmap
from typing import cast

from aiokafka.structs import TopicPartition

from larder.assembly.counts import Counts
from larder.assembly.decide_parts import DecideParts
from larder.assembly.placement import Placement
from larder.assembly.plan import InputPlan, JoinPlan, RekeyPlan, ServicePlan, WaitPlan
from larder.declaring.compiled.joins import compile_rekey, compile_row_rekey
from larder.declaring.keys import BYTES, KeyType
from larder.declaring.missing_fields import Drop
from larder.declaring.problems import Problem
from larder.declaring.sources import events_of
from larder.declaring.topics import OwnerTopic
from larder.delivery.dead_letters import Parking
from larder.delivery.delivery import Delivery, Output
from larder.kafka.batch_consumer import SeenEnd
from larder.local_tables.kept_rows import KeptRows
from larder.local_tables.misplaced import OrderPlaces
from larder.local_tables.table import HeldTable
from larder.operators.joins.join import Joining
from larder.operators.joins.row_results import row_results
from larder.operators.joins.waiting_room import WaitingRoom
from larder.operators.owned_rows import OwnedRows
from larder.operators.reactions import Begun, ReactingHandler
from larder.operators.rekeying.newest_result import Gathering
from larder.operators.rekeying.rows import RekeyingRows
from larder.operators.user_agents import AgentHandler, Feed
from larder.processing.handlers import InputHandler, InputStep, Rekeying, TableHandler
from larder.processing.lanes import Lane
from larder.processing.loop import Chore
from larder.processing.replaying import ReplayHandler
from larder.store.applying.row_checks import RowChecks


class Assembly:
    """What is built for one assignment."""

    def __init__(
        self,
        plan: ServicePlan,
        assigned: Collection[TopicPartition],
        tables: Mapping[str, HeldTable],
        counts: Counts,
        feeds: Mapping[str, Feed],
        begun: Mapping[TopicPartition, Begun],
        generation: int,
        delivery: Callable[[], Delivery],
        epoch: Callable[[], int],
        clock: Callable[[], float],
        placement: Placement,
        partition_counts: Mapping[str, int],
    ) -> None:
        self._plan = plan
        self._assigned = assigned
        self._tables = tables
        self._counts = counts
        self._feeds = feeds
        self._generation = generation
        self._begun = begun
        self._delivery = delivery
        self._epoch = epoch
        self._clock = clock
        self._placement = placement
        self._partition_counts = partition_counts
        self._owner_topics = {each.input for each in plan.joins if isinstance(events_of(each.join.source), OwnerTopic)}
        self.rooms: dict[TopicPartition, list[WaitingRoom]] = {}
        self.held_back: dict[TopicPartition, Problem] = {}
        self._decides = DecideParts(plan, assigned, tables, counts.decides, self._owned, delivery, self._parking)

    @property
    def chores(self) -> Sequence[Chore]:
        """What waits for a row or a time."""
        return [
            *chain.from_iterable(self.rooms.values()),
            *self._decides.wake_ups.values(),
            *starmap(KeptRows, self._needed_whole()),
        ]

    def _needed_whole(self) -> Iterator[tuple[HeldTable, int]]:
        for tp in self._assigned:
            if (table := self._tables.get(tp.topic)) is not None and table.needs_each_row:
                yield table, tp.partition

    def lanes(self) -> dict[TopicPartition, Lane]:
        """Lanes in the order of their priority."""
        assigned = self._assigned
        for table in self._tables.values():
            table.forget_listeners()
        sources = {tp: self._plan.inputs[tp.topic].replays for tp in _of(assigned, self._plan.inputs)}
        inputs = {tp: self._input(tp) for tp, source in sources.items() if source is None}
        replays = {tp: self._replay(tp, source, inputs) for tp, source in sources.items() if source is not None}
        tables = {tp: self._table(tp) for tp in _of(assigned, self._plan.partitioned)}
        internal = {tp: self._table(tp) for tp in _of(assigned, self._plan.internal)}
        return {**tables, **internal, **inputs, **replays}

    def _table(self, tp: TopicPartition) -> Lane:
        if (reactions := self._plan.reactions.get(tp.topic)) is not None:
            table, parking, counts = self._tables[tp.topic], self._parking(tp), self._counts.reactions[tp.topic]
            reacting = ReactingHandler(tp, table, reactions, self._begun[tp], parking, self._delivery, counts)
            return Lane(tp, reacting, self._held_table(tp))
        handler = TableHandler(self._tables[tp.topic], tp.partition, self._parking(tp), self._delivery)
        handler.publish_left_over()
        return Lane(tp, handler, self._held_table(tp))

    def _held_table(self, tp: TopicPartition) -> Callable[[], bool]:
        """A partition that was added holds keys that belong elsewhere by the number of before."""
        beyond = tp.topic in self._placement.problems and self._tables[tp.topic].lies_beyond(tp.partition)
        return _always if beyond else _never

    def _input(self, tp: TopicPartition) -> Lane:
        plan = self._plan.inputs[tp.topic]
        if plan.agents:
            agent = plan.agents[0]
            feed = self._feeds[tp.topic]
            handler = AgentHandler(tp, agent.topic.row, feed, self._delivery, self._epoch)
            return Lane(tp, handler, _never)
        if (problem := self._placement.problem_of(tp.topic)) is not None:
            self.held_back[tp] = problem
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        lacking = [name for name in sorted({*self._read(plan), *plan.kept}) if not self._is_open(name, tp.partition)]
        if lacking:
            # There is another assignment once a topic that was deleted is there again, or one that is too small grows.
            self._hold_back(tp, [name for name in lacking if self._is_uneven(tp, name)])
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        steps = dict(self._steps(tp, plan))
        return Lane(tp, InputHandler(tp, steps, self._delivery, _key_type(plan)), self._held(tp, plan))

    def _replay(self, tp: TopicPartition, replays: str, inputs: Mapping[TopicPartition, Lane]) -> Lane:
        """What is replayed goes to the steps of its input, and waits for what they wait for."""
        source = TopicPartition(replays, tp.partition)
        if source not in inputs or not isinstance(handler := inputs[source].handler, InputHandler):
            self.held_back[tp] = self._apart(tp, replays)
            return Lane(tp, InputHandler(tp, {}, self._delivery), _always)
        if source in self.held_back:
            self.held_back[tp] = self.held_back[source]
        return Lane(tp, ReplayHandler(tp, source, handler, self._delivery, self._parking), inputs[source].held)

    def _apart(self, tp: TopicPartition, source: str) -> Problem:
        return Problem(
            f"topic {tp.topic}, partition {tp.partition}",
            f"requires as many partitions as {source}, whose dead letters are replayed in it",
            f"{self._partition_counts[tp.topic]}, and {self._partition_counts[source]} of {source}",
            "add partitions where there are fewer, with kafka-topics for instance; until then what is replayed there is"
            " held back",
        )

    def _is_uneven(self, tp: TopicPartition, name: str) -> bool:
        """The partition of that number is not there, or is assigned apart from that of the input."""
        return self._tables[name].partition_count != self._partition_counts[tp.topic]

    def _hold_back(self, tp: TopicPartition, uneven: Sequence[str]) -> None:
        if uneven:
            self.held_back[tp] = Problem(
                f"input {tp.topic}, partition {tp.partition}",
                f"its joins require as many partitions as it has in {' and '.join(uneven)}",
                " and ".join(str(self._tables[name].partition_count) for name in uneven),
                "add partitions where there are fewer, with kafka-topics for instance; until then its records are held"
                " back",
            )

    def _is_open(self, name: str, partition: int) -> bool:
        table = self._tables[name]
        return table.held == "global" or partition in table.table.partitions

    def _steps(self, tp: TopicPartition, plan: InputPlan) -> Iterator[tuple[str, InputStep]]:
        """What is done with each record of an input partition, in this order, by the names of dead letters."""
        for join in plan.joins:
            yield join.step, self._join(tp, join, self._parking(tp, join.step))
        for decide in plan.decides:
            yield decide.step, self._decides.stage(tp, decide, self._parking(tp, decide.step))
        for rekeying in plan.rekeyings.values():
            yield rekeying.step, self._rekeying(tp, rekeying, self._parking(tp, rekeying.step))
        if plan.gathers is not None:
            # Only the service writes there: what is parked is somebody else's, and is not for this step.
            into = cast("OwnerTopic", plan.gathers.join.into)
            rows = self._owned(plan.gathers.output, tp.partition)
            yield "gathering", Gathering(rows, self._parking(tp), RowChecks(into))

    def _rekeying(self, tp: TopicPartition, plan: RekeyPlan, parking: Parking) -> InputStep:
        source, counts = plan.rekeyed.source, self._counts.rekeyings[plan.output.topic]
        if plan.places is None or not isinstance(source, OwnerTopic) or source.revision is None:
            return Rekeying(compile_rekey(plan.rekeyed), plan.output, self._delivery, parking, counts)
        read = compile_row_rekey(plan.rekeyed, source.revision)
        places, drops = self._owned(plan.places, tp.partition), plan.rekeyed.missing is Drop
        return RekeyingRows(read, places, plan.output, self._delivery, parking, counts, drops=drops)

    def _owned(self, output: Output, partition: int) -> OwnedRows:
        return OwnedRows(self._tables[output.topic], partition, output, self._delivery, self._generation)

    def _parking(self, tp: TopicPartition, step: str = "") -> Parking:
        causes = self._counts.causes.of(tp.topic)
        return Parking(self._plan.service.name, tp, self._plan.dead_letters, self._delivery, causes, step)

    def _join(self, tp: TopicPartition, plan: JoinPlan, parking: Parking) -> Joining:
        tables = [self._tables[lookup.table.name] for lookup in plan.join.lookups]
        sources = [table.rows(tp.partition) for table in tables]
        output = plan.gathered or plan.output
        quality = self._counts.joins[plan.join.name].of(tp.partition)
        joining = Joining(plan.compiled, sources, output, self._delivery, parking, quality)
        joining.results = row_results(plan.join, output, self._delivery)
        if isinstance(source := events_of(plan.join.source), OwnerTopic):
            joining.checks = RowChecks(source)
        joining.places = OrderPlaces(tp.partition, plan.join.lookups, [table.partition_count for table in tables])
        if plan.waiting is not None:
            joining.room = self._room(tp, plan.waiting, joining, tables)
        return joining

    def _room(self, tp: TopicPartition, plan: WaitPlan, joining: Joining, tables: Sequence[HeldTable]) -> WaitingRoom:
        states = self._plan.states_of(tp.topic)
        room = WaitingRoom(
            tp,
            joining,
            plan.wait,
            self._owned(plan.output, tp.partition),
            [_Partner(table, tp.partition, state=table.topic.name in states) for table in tables],
            self._delivery,
            self._clock,
            by_row_key=tp.topic in self._owner_topics,
        )
        for lookup, table in enumerate(tables):
            table.listen(partial(room.came, lookup))
        self.rooms.setdefault(tp, []).append(room)
        return room

    def _held(self, tp: TopicPartition, plan: InputPlan) -> Callable[[], bool]:
        """Until the tables that it reads are caught up, what it needs can be read, and what waits is taken over."""
        tables = [self._tables[name] for name in self._read(plan)]
        whole = [self._tables[name] for name in self._plan.needed_whole(tp.topic)]
        waiting = [*self.rooms.get(tp, ()), *self._decides.waiting(tp.partition, plan.decides)]

        def held() -> bool:
            if not all(table.caught_up(tp.partition) for table in tables):
                return True
            return not all(each.ready for each in waiting) or any(each.unreadable(tp.partition) for each in whole)

        return held

    def _read(self, plan: InputPlan) -> Collection[str]:
        """The tables that are read for the records of an input."""
        looked_up = {lookup.table.name for each in plan.joins for lookup in each.join.lookups}
        places = {each.places.topic for each in plan.rekeyings.values() if each.places is not None}
        gathered = set() if plan.gathers is None else {plan.gathers.output.topic}
        return looked_up.union(places, gathered, *(self._decides.needed(each) for each in plan.decides))


class _Partner:
    """A table as the orders of one input partition see it; `state`: a decide of this service decides on it."""

    def __init__(self, table: HeldTable, partition: int, *, state: bool) -> None:
        self._table = table
        self._partition = partition
        self._state = state

    def caught_up(self) -> bool:
        """Also that the rows of a state can be read."""
        readable = not (self._state and self._table.unreadable(self._partition))
        return readable and self._table.caught_up(self._partition)

    def ends(self) -> Mapping[int, SeenEnd]:
        return self._table.ends(self._partition)

    def has_passed(self, ends: Mapping[int, SeenEnd]) -> bool:
        return self._table.has_passed(ends)


def _of(assigned: Collection[TopicPartition], topics: Collection[str]) -> list[TopicPartition]:
    return sorted(tp for tp in assigned if tp.topic in topics)


def _key_type(plan: InputPlan) -> KeyType:
    """That of the message keys of an input, where they go on to an output or a store."""
    sources = [each.join.source for each in plan.joins] + [each.rekeyed for each in plan.rekeyings.values()]
    return sources[0].key_codec if sources else BYTES


def _never() -> bool:
    return False


def _always() -> bool:
    return True
