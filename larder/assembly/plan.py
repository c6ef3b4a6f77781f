"""What a service does with each topic, computed once from its declarations and the facts about the topics.

The plan is pure data: which topics are read and why, and which are written. Everything in an assignment is built from
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from larder.assembly.calls import CallPlan
from larder.assembly.decides import DecidePlan
from larder.assembly.joins import JoinPlan
from larder.assembly.operator_plan import KnownFacts, OperatorPlan, output_of, plan_operator
from larder.assembly.rekeying import GatherPlan, RekeyPlan
from larder.declaring.agents import AgentDeclaration
from larder.declaring.carried import carried_names
from larder.declaring.compiled.reactions import compile_reaction
from larder.declaring.facts import dead_letters_name, input_name, keys_name, replays_name
from larder.declaring.growth import Copy, copies
from larder.declaring.service import Service
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.declaring.topology import topics_of
from larder.delivery.carried import Carrying
from larder.delivery.output import Output
from larder.operators.reactions import Reacting
from larder.operators.rekeying.rows import keys_topic


@dataclass
class InputPlan:
    """All that is declared on one input topic.

    A topic of replayed dead letters has no declarations. Its `replays` names the input whose steps process them again.
    """

    operators: list[OperatorPlan] = field(default_factory=list)
    rekeyings: dict[str, RekeyPlan] = field(default_factory=dict)
    gathers: GatherPlan | None = None
    agents: list[AgentDeclaration] = field(default_factory=list)
    replays: str | None = None

    @property
    def steps(self) -> Iterator[OperatorPlan | RekeyPlan | GatherPlan]:
        """The steps that process each record of the input, in order."""
        yield from self.operators
        yield from self.rekeyings.values()
        if self.gathers is not None:
            yield self.gathers

    @property
    def kept(self) -> set[str]:
        """The internal tables that keep something of its records: waiting records, wake-ups, places of rows."""
        places = {each.places.topic for each in self.rekeyings.values() if each.places is not None}
        return places.union(*(each.kept for each in self.operators))


@dataclass(frozen=True)
class CopyPlan:
    """A topic that is copied into the next generation of the service."""

    copy: Copy
    output: Output


@dataclass(frozen=True)
class GrowthPlan:
    """The next generation: its number, what is copied into it by the topic of before, and its copied tables.

    Workers read those tables already, so that they have the rows when the generation begins.
    """

    number: int
    partitions: int
    copies: Mapping[str, CopyPlan]
    tables: Sequence[TableUse]

    @property
    def warm(self) -> list[str]:
        """The topics of its copied tables."""
        return [use.read_from.name for use in self.tables]

    def waiting(self, topic: str) -> list[str]:
        """Return the topics of waiting records that are put back in front of the rest of an input."""
        into = self.copies[topic].output.topic
        return [name for name, each in self.copies.items() if each.copy.kind == "waiting" and each.output.topic == into]


@dataclass(frozen=True)
class ServicePlan:
    """The topics that the group reads, by purpose, and those that the service writes.

    `growth` is set while the service is being scaled: then no input is processed.
    """

    service: Service
    partitioned: Mapping[str, OwnerTopic]
    internal: Mapping[str, OwnerTopic]
    """Tables that are not declared: waiting records, and other state that the service keeps."""
    inputs: Mapping[str, InputPlan]
    operators: Sequence[OperatorPlan]
    reactions: Mapping[str, Sequence[Reacting]]
    dead_letters: Output
    outputs: Mapping[str, Output]
    """Every topic that the service may write, by name."""
    growth: GrowthPlan | None = None

    def carrying(self, worker: str) -> Carrying:
        """Return which headers a worker carries along, and the internal topics through which records of others pass."""
        return Carrying(carried_names(self.service), self.passages, worker)

    @property
    def passages(self) -> frozenset[str]:
        """The internal topics whose records are those of other topics, placed by the service.

        Those of earlier generations too: what waits may have come from there.
        """
        rekeyed = {
            input_name(self.service, replace(each, generation=number))
            for each in self.service.rekeyed
            for number in range(1, each.generation + 1)
        }
        gathered = {each.gathered.topic for each in self.joins if each.gathered is not None}
        states = {use.build for use in self.service.tables if use.build is not None}
        return frozenset(rekeyed | gathered | states)

    @property
    def joins(self) -> list[JoinPlan]:
        """The joins among the operators."""
        return [each for each in self.operators if isinstance(each, JoinPlan)]

    @property
    def calls(self) -> list[CallPlan]:
        """The calls among the operators."""
        return [each for each in self.operators if isinstance(each, CallPlan)]

    @property
    def decides(self) -> list[DecidePlan]:
        """The decides among the operators."""
        return [each for each in self.operators if isinstance(each, DecidePlan)]

    @property
    def owned(self) -> frozenset[str]:
        """The topics of tables that only this service writes."""
        gathered = {each.output.topic for each in self.joins if each.gathered is not None}
        return frozenset(self.internal).union(gathered, *(each.states for each in self.operators))

    def states_of(self, name: str) -> list[str]:
        """Return the states of decides that any declaration on an input reads."""
        own = {state for each in self._read(name).operators for state in each.states}
        return sorted({state for each in self.operators for state in each.states} & (own | self.tables_of(name)))

    def needed_whole(self, name: str) -> list[str]:
        """Return the tables of which an input needs every row: it is held back while one is unreadable."""
        return sorted({*self.states_of(name), *self._read(name).kept})

    def former_inputs(self, name: str) -> frozenset[str]:
        """Return the topics from which the service may have read the records of an input before."""
        source = self.rekeyed_into(name)
        return frozenset() if source is None else source.former_inputs(self.service.name)

    def rekeyed_into(self, name: str) -> Rekeyed | None:
        """Return what the service passes to an internal topic; None if it passes nothing there."""
        service = self.service
        return next((each for each in service.rekeyed if input_name(service, each) == name), None)

    def _read(self, name: str) -> InputPlan:
        """Return what is declared on an input, or on the input whose dead letters it replays."""
        return self.inputs[self.inputs[name].replays or name]

    def tables_of(self, name: str) -> frozenset[str]:
        """Return the declared tables that an input reads, without the states of its own decides."""
        read = self._read(name)
        used = {
            topic
            for each in read.operators
            for topic in (table.read_from.name for table in each.operator.uses())
            if topic not in each.states
        }
        near = any(each.operator.reads_near for each in read.operators)
        return frozenset(used.union((use.read_from.name for use in self.service.tables) if near else ()))

    @property
    def passed_through(self) -> frozenset[str]:
        """Event topics that only this service writes and reads, so their processed records can be deleted.

        While the service is being scaled, there are none: it may go back to the offsets of before.
        """
        if self.growth is not None:
            return frozenset()
        rekeyed = {
            plan.output.topic
            for each in self.inputs.values()
            for plan in each.rekeyings.values()
            if not plan.rekeyed.of_rows
        }
        gathered = {each.gathered.topic for each in self.joins if each.gathered is not None}
        replays = (name for name, each in self.inputs.items() if each.replays)
        return frozenset(rekeyed.union(gathered, replays, *(each.passed_through for each in self.operators)))

    @property
    def group_topics(self) -> list[str]:
        """All topics of which the group assigns partitions, each once."""
        growing = () if self.growth is None else (*self.growth.copies, *self.growth.warm)
        return list(dict.fromkeys([*self.partitioned, *self.internal, *self.inputs, *growing]))


def plan(service: Service, facts: KnownFacts, following: Service | None = None) -> ServicePlan:
    """Plan a service whose declarations are valid and whose topics all exist.

    `following` is the service of the next generation, while the service is being scaled.
    """
    planned = (plan_operator(each, service, facts) for each in service.operators)
    operators = [each for each in planned if each is not None]
    inputs = _inputs(service, operators, facts)
    return ServicePlan(
        service,
        {use.read_from.name: use.read_from for use in (*service.tables, *service.kept) if use.held == "partition"},
        dict(_internal(service, inputs, operators)),
        inputs,
        operators,
        _reactions(service, facts),
        output_of(dead_letters_name(service.name), facts),
        {use.name: output_of(use.name, facts) for use in topics_of(service, facts) if use.owned},
        None if following is None else _growth(service, following, facts),
    )


def _growth(service: Service, following: Service, facts: KnownFacts) -> GrowthPlan | None:
    if following.generation is None:
        return None
    found = {each.topic: CopyPlan(each, output_of(each.into, facts)) for each in copies(service, following)}
    copied = {each.output.topic for each in found.values() if each.copy.kind == "rows"}
    tables = [use for use in following.tables if use.read_from.name in copied]
    number = following.generation.number
    return GrowthPlan(number, max(following.generation.counts.values()), found, tables)


def _reactions(service: Service, facts: KnownFacts) -> Mapping[str, Sequence[Reacting]]:
    """Return the reactions by the topic of their table."""
    found: dict[str, list[Reacting]] = {}
    for each in service.reactions:
        outputs = [output_of(topic.name, facts) for topic in each.into]
        found.setdefault(each.table.read_from.name, []).append(Reacting(compile_reaction(each), outputs))
    return found


def _internal(
    service: Service, inputs: Mapping[str, InputPlan], operators: Sequence[OperatorPlan]
) -> Iterator[tuple[str, OwnerTopic]]:
    """Yield the tables that are not declared, by topic."""
    declared = {use.read_from.name for use in service.tables}
    for operator in operators:
        yield from ((topic.name, topic) for topic in operator.internal() if topic.name not in declared)
    for each in inputs.values():
        for rekeying in each.rekeyings.values():
            if rekeying.places is not None:
                yield rekeying.places.topic, keys_topic(rekeying.places.topic, rekeying.places.partitions)


def _inputs(service: Service, operators: Sequence[OperatorPlan], facts: KnownFacts) -> Mapping[str, InputPlan]:
    inputs: dict[str, InputPlan] = {}
    for operator in operators:
        for name in operator.inputs:
            inputs.setdefault(name, InputPlan()).operators.append(operator)
        if isinstance(operator, JoinPlan) and operator.gathered is not None:
            inputs.setdefault(operator.gathered.topic, InputPlan()).gathers = GatherPlan(operator)
    for source in service.rekeyed:
        name = input_name(service, source)
        places = output_of(keys_name(service.name, source), facts) if source.moves else None
        rekeyings = inputs.setdefault(source.source.name, InputPlan()).rekeyings
        rekeyings[name] = RekeyPlan(source, output_of(name, facts), places)
    for agent in service.agents:
        inputs.setdefault(agent.topic.name, InputPlan()).agents.append(agent)
    replays = {replays_name(service.name, name): InputPlan(replays=name) for name in inputs}
    # Inputs of rows have none, because rows are never replayed.
    return inputs | {name: each for name, each in replays.items() if name in facts}
