"""What a service does with each topic, worked out once from its declaration and the broker's facts.

The plan is pure data: which topics are read, as what, and which are published to. Everything that is built
for an assignment is built from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from larder.declaring.agents import AgentDeclaration
from larder.declaring.compiled.decides import CompiledDecide, compile_decide
from larder.declaring.compiled.joins import CompiledJoin, compile_join
from larder.declaring.decides import Decide
from larder.declaring.facts import (
    TopicFacts,
    dead_letters_name,
    input_name,
    joined_name,
    keys_name,
    replays_name,
    waiting_name,
    wake_ups_name,
)
from larder.declaring.joins import Join
from larder.declaring.missing import Wait
from larder.declaring.reactions import compile_reaction
from larder.declaring.service import Service
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.delivery import Output
from larder.operators.decides.wake_ups import wake_ups_topic
from larder.operators.joins.waiting_records import waiting_topic
from larder.operators.reactions import Reacting
from larder.operators.rekeying.rows import keys_topic


@dataclass(frozen=True)
class WaitPlan:
    """How long orders wait, and the topic that they wait in: as a table, and as an output."""

    wait: Wait
    topic: OwnerTopic
    output: Output


@dataclass(frozen=True)
class JoinPlan:
    """A join, the topic it reads and the one it writes; `waiting` if its orders may wait.

    Results that come from several partitions come together in `gathered`, which is an input again.
    """

    join: Join
    compiled: CompiledJoin
    input: str
    output: Output
    waiting: WaitPlan | None
    gathered: Output | None

    @property
    def step(self) -> str:
        """What dead letters call it."""
        return f"join {self.join.name}"


@dataclass(frozen=True)
class RekeyPlan:
    """What is rekeyed, and where it goes; rows have a table of the places where they lie."""

    rekeyed: Rekeyed
    output: Output
    places: Output | None

    @property
    def step(self) -> str:
        """What dead letters call it."""
        return f"by {self.rekeyed.field}"


@dataclass(frozen=True)
class DecidePlan:
    """A decide, the topics it reads and those it writes; `wake_ups` if its function takes any.

    `outputs` are those of `into`, in their order, and after them that of refusals.
    """

    decide: Decide
    compiled: CompiledDecide
    inputs: tuple[str, ...]
    state: Output
    outputs: tuple[Output, ...]
    wake_ups: Output | None

    @property
    def step(self) -> str:
        """What dead letters call it."""
        return f"decide {self.decide.name}"


@dataclass
class InputPlan:
    """All that is declared on one input topic.

    `replays` is set where nothing is declared: it has dead letters of that input, each for the step that parked it.
    """

    joins: list[JoinPlan] = field(default_factory=list)
    decides: list[DecidePlan] = field(default_factory=list)
    rekeyings: dict[str, RekeyPlan] = field(default_factory=dict)
    gathers: JoinPlan | None = None
    agents: list[AgentDeclaration] = field(default_factory=list)
    replays: str | None = None

    @property
    def kept(self) -> set[str]:
        """The internal tables with what is kept of its records: orders that wait, wake-ups, where rows lie."""
        orders = {each.waiting.topic.name for each in self.joins if each.waiting is not None}
        wake_ups = {each.wake_ups.topic for each in self.decides if each.wake_ups is not None}
        return orders | wake_ups | {each.places.topic for each in self.rekeyings.values() if each.places is not None}


@dataclass(frozen=True)
class ServicePlan:
    """Topics that the group reads, by what they are for, and where dead letters go."""

    service: Service
    partitioned: Mapping[str, OwnerTopic]
    internal: Mapping[str, OwnerTopic]
    """Tables that nobody declared: what waits for a row, and what the service has to keep."""
    inputs: Mapping[str, InputPlan]
    joins: tuple[JoinPlan, ...]
    decides: tuple[DecidePlan, ...]
    reactions: Mapping[str, Sequence[Reacting]]
    dead_letters: Output

    @property
    def owned(self) -> frozenset[str]:
        """The topics of tables that this service alone writes."""
        gathered = {each.output.topic for each in self.joins if each.gathered is not None}
        return frozenset(self.internal).union(gathered, (each.state.topic for each in self.decides))

    def states_of(self, name: str) -> list[str]:
        """The states of decides that are read for the records of an input, whichever of its declarations reads them."""
        own = {each.state.topic for each in self._read(name).decides}
        return sorted({each.state.topic for each in self.decides} & (own | self.tables_of(name)))

    def needed_whole(self, name: str) -> list[str]:
        """The tables of which an input requires that each row can be read: it is held back while one cannot."""
        return sorted({*self.states_of(name), *self._read(name).kept})

    def _read(self, name: str) -> InputPlan:
        """What is declared on an input, or on that whose dead letters are replayed in it."""
        return self.inputs[self.inputs[name].replays or name]

    def tables_of(self, name: str) -> frozenset[str]:
        """The declared tables that are read for the records of an input, besides the states of its own decides."""
        read = self._read(name)
        looked_up = {lookup.table.name for each in read.joins for lookup in each.join.lookups}
        near = any(each.decide.reads_near for each in read.decides)
        return frozenset(looked_up.union((use.name for use in self.service.tables) if near else ()))

    @property
    def passed_through(self) -> frozenset[str]:
        """Event topics that this service alone writes and reads: what is processed there is of no more use."""
        rekeyed = {
            plan.output.topic
            for each in self.inputs.values()
            for plan in each.rekeyings.values()
            if plan.places is None
        }
        gathered = {each.gathered.topic for each in self.joins if each.gathered is not None}
        return frozenset(rekeyed.union(gathered, (name for name, each in self.inputs.items() if each.replays)))

    @property
    def group_topics(self) -> list[str]:
        return [*self.partitioned, *self.internal, *self.inputs]


def plan(service: Service, facts: Mapping[str, TopicFacts]) -> ServicePlan:
    """Make the plan of a service whose declarations have no problems and whose topics are all there."""
    joins = tuple(_join_plan(service, join, facts) for join in service.joins)
    decides = tuple(_decide_plan(service, decide, facts) for decide in service.decides)
    inputs = _inputs(service, joins, decides, facts)
    return ServicePlan(
        service,
        {use.name: use.topic for use in service.tables if use.held == "partition"},
        dict(_internal(service, inputs, joins, decides)),
        inputs,
        joins,
        decides,
        _reactions(service, facts),
        _output(dead_letters_name(service.name), facts),
    )


def _output(name: str, facts: Mapping[str, TopicFacts]) -> Output:
    return Output(name, facts[name].partitions, facts[name].max_message_bytes)


def _join_plan(service: Service, join: Join, facts: Mapping[str, TopicFacts]) -> JoinPlan:
    reads = input_name(service, join.source)
    return JoinPlan(
        join,
        compile_join(join),
        reads,
        _output(join.into.name, facts),
        _wait_plan(service, join, reads, facts),
        _output(joined_name(service.name, join), facts) if join.gathers else None,
    )


def _wait_plan(service: Service, join: Join, reads: str, facts: Mapping[str, TopicFacts]) -> WaitPlan | None:
    if join.wait is None:
        return None
    name = waiting_name(service.name, join)
    return WaitPlan(join.wait, waiting_topic(name, facts[reads].partitions), _output(name, facts))


def _decide_plan(service: Service, decide: Decide, facts: Mapping[str, TopicFacts]) -> DecidePlan:
    names = [topic.name for topic in decide.into] + ([] if decide.folds else [service.refusals.name])
    return DecidePlan(
        decide,
        compile_decide(decide),
        tuple(input_name(service, source) for source in decide.inputs),
        _output(decide.state.name, facts),
        tuple(_output(name, facts) for name in names),
        _output(wake_ups_name(service.name, decide), facts) if decide.wakes else None,
    )


def _reactions(service: Service, facts: Mapping[str, TopicFacts]) -> Mapping[str, Sequence[Reacting]]:
    """Reactions by the topic of their table."""
    found: dict[str, list[Reacting]] = {}
    for each in service.reactions:
        outputs = [_output(topic.name, facts) for topic in each.into]
        found.setdefault(each.table.name, []).append(Reacting(compile_reaction(each), outputs))
    return found


def _internal(
    service: Service,
    inputs: Mapping[str, InputPlan],
    joins: tuple[JoinPlan, ...],
    decides: tuple[DecidePlan, ...],
) -> Iterator[tuple[str, OwnerTopic]]:
    """Tables of which the declarations say nothing, by topic."""
    for join in joins:
        if join.waiting is not None:
            yield join.waiting.topic.name, join.waiting.topic
    for decide in decides:
        if decide.wake_ups is not None:
            yield decide.wake_ups.topic, wake_ups_topic(decide.wake_ups.topic, decide.wake_ups.partitions)
    for each in inputs.values():
        for rekeying in each.rekeyings.values():
            if rekeying.places is not None:
                yield rekeying.places.topic, keys_topic(rekeying.places.topic, rekeying.places.partitions)
    declared = {use.name for use in service.tables}
    for join in joins:
        if join.gathered is not None and join.output.topic not in declared:
            yield join.output.topic, cast("OwnerTopic", join.join.into)


def _inputs(
    service: Service,
    joins: tuple[JoinPlan, ...],
    decides: tuple[DecidePlan, ...],
    facts: Mapping[str, TopicFacts],
) -> Mapping[str, InputPlan]:
    inputs: dict[str, InputPlan] = {}
    for each in joins:
        inputs.setdefault(each.input, InputPlan()).joins.append(each)
        if each.gathered is not None:
            inputs.setdefault(each.gathered.topic, InputPlan()).gathers = each
    for decide in decides:
        for name in decide.inputs:
            inputs.setdefault(name, InputPlan()).decides.append(decide)
    for source in service.sources:
        if isinstance(source, Rekeyed):
            name = input_name(service, source)
            places = _output(keys_name(service.name, source), facts) if source.of_rows else None
            rekeyings = inputs.setdefault(source.source.name, InputPlan()).rekeyings
            rekeyings[name] = RekeyPlan(source, _output(name, facts), places)
    for agent in service.agents:
        inputs.setdefault(agent.topic.name, InputPlan()).agents.append(agent)
    replays = {replays_name(service.name, name): InputPlan(replays=name) for name in inputs}
    # Those of rows have none: rows are never replayed.
    return inputs | {name: each for name, each in replays.items() if name in facts}
