"""The contract of operators in a worker: how each kind is planned, and how it is built for one partition.

Each kind registers both: `plan_operator` for its declaration, and `build` for its plan. A kind without a plan takes no
records of inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import singledispatch
from typing import TYPE_CHECKING

from larder.declaring.facts import TopicFacts
from larder.declaring.operators import Operator
from larder.declaring.service import Service
from larder.declaring.topics import OwnerTopic
from larder.delivery.output import Output

if TYPE_CHECKING:
    from larder.assembly.context import InputContext
    from larder.processing.handlers import InputStep

KnownFacts = Mapping[str, TopicFacts]
"""The facts about all topics of a service, which all exist."""


class OperatorPlan:
    """An operator that takes records of inputs, with the topics that it reads and writes as the broker describes them.

    inputs  the topics whose records it takes.
    """

    operator: Operator
    inputs: tuple[str, ...]

    @property
    def step(self) -> str:
        """The name of this step in dead letters."""
        return self.operator.step

    @property
    def states(self) -> Collection[str]:
        """The tables that the operator decides on."""
        return ()

    @property
    def kept(self) -> Collection[str]:
        """The internal tables that keep something of its records."""
        return ()

    @property
    def passed_through(self) -> Collection[str]:
        """The internal event topics that only the operator reads: their processed records can be deleted."""
        return ()

    def internal(self) -> Iterable[OwnerTopic]:
        """Return the tables that are not declared."""
        return ()

    def placed(self, name: str, partitioned: Collection[str]) -> Iterable[str]:  # noqa: ARG002 - for those that are
        """Return the topics by whose partition count records of the input `name` are placed.

        `partitioned` are the co-partitioned tables of the service.
        """
        return ()


@singledispatch
def plan_operator(operator: object, service: Service, facts: KnownFacts) -> OperatorPlan | None:  # noqa: ARG001 - by kind
    """Plan an operator; return None if it takes no records of inputs."""
    return None


@singledispatch
def build(plan: object, at: InputContext) -> InputStep:
    """Build the step of an operator on one input partition."""
    message = f"{type(plan).__name__} requires a builder for {at.tp.topic}; register one: build.register"
    raise TypeError(message)


def output_of(name: str, facts: KnownFacts) -> Output:
    """Return a topic as an output."""
    return Output(name, facts[name].partitions, facts[name].max_message_bytes)
