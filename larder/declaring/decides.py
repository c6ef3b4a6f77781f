"""Decides as values: the events, the state that they change, and the topics of the events that they emit.

Declaring a decide checks nothing, so that the checks can report all mistakes together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from larder.declaring.checks.decides import decide_problems
from larder.declaring.checks.kinds import decide_kind_problems
from larder.declaring.decisions import WakeUp, refusals_name
from larder.declaring.facts import Facts, dead_letters_name, wake_ups_name
from larder.declaring.operators import Edge, KeptTopic, Operator, Role, Topic, names, node, source_edges
from larder.declaring.problems import Problem
from larder.declaring.sources import Source, TableUse

if TYPE_CHECKING:
    from larder.declaring.service import Service

Function = TypeVar("Function", bound=Callable[..., Any])

_WITH_NEAR = 3


@dataclass(eq=False)
class Decide(Operator):
    """A function over the events of `inputs` and the rows of `state`, which this service owns.

    With `folds`, the function returns the new row itself and emits nothing.
    """

    inputs: tuple[Source, ...]
    state: TableUse
    into: tuple[Topic, ...] = ()
    folds: bool = False
    function: Callable[..., Any] | None = field(default=None)

    kind = "decide"
    listed_as = "decides"
    goes_on_with_its_own = True

    @property
    def name(self) -> str:
        """The name of its state."""
        return self.state.name

    def summary(self) -> dict[str, Any]:
        """Return its name, its inputs, and whether it folds."""
        return {"name": self.name, "inputs": names(self.inputs), "folds": self.folds}

    def outline(self) -> dict[str, Any]:
        """Return its inputs, its state, and the topics of the events that it emits."""
        return {"inputs": names(self.inputs), "state": self.state.name, "into": names(self.into)}

    def sentence(self) -> str:
        """Describe in one line which events change which state."""
        into = f" into {', '.join(names(self.into))}" if self.into else ""
        return f"decide {self.state.name} by {', '.join(names(self.inputs))}{into}"

    def reads(self) -> Sequence[Source]:
        """Return its inputs."""
        return self.inputs

    def uses(self) -> Sequence[TableUse]:
        """Return its state."""
        return (self.state,)

    def writes(self) -> Sequence[Topic]:
        """Return the topics of its state and of the events that it emits."""
        return (self.state.topic, *self.into)

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        """Yield each input with its state."""
        for source in self.inputs:
            yield source, self.state.topic

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Decide:
        """Replace its inputs and its state."""
        return replace(self, inputs=tuple(map(source, self.inputs)), state=table(self.state))

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        """Yield the topics of its wake-ups and refusals."""
        if self.wakes:
            yield KeptTopic(wake_ups_name(service, self), Role.WAKE_UPS, self.state.read_from, compacted=True)
        if not self.folds:
            yield KeptTopic(refusals_name(service), Role.REFUSALS, None, compacted=False)

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find arguments of the wrong kind."""
        return decide_kind_problems(service, self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return decide_problems(service, self, facts)

    def edges(self, service: str) -> Iterator[Edge]:
        """Yield the edges of its inputs, its state, its events, its wake-ups, its refusals and its dead letters."""
        here = node(self)
        for source in self.inputs:
            yield from source_edges(service, source, here)
        yield Edge(here, f"topic:{self.state.topic.name}")
        yield Edge(f"table:{self.state.name}", here, "row")
        for topic in self.into:
            yield Edge(here, f"topic:{topic.name}")
        if self.wakes:
            wakes = f"topic:{wake_ups_name(service, self)}"
            yield Edge(here, wakes, "wake-ups")
            yield Edge(wakes, here, "due")
        if not self.folds:
            yield Edge(here, f"topic:{refusals_name(service)}", "refused")
        yield Edge(here, f"topic:{dead_letters_name(service)}", "parked")

    @property
    def wakes(self) -> bool:
        """Whether the type of the function's first parameter includes wake-ups."""
        if self.function is None or self.folds:
            return False
        try:
            hints = get_type_hints(self.function)
        except (NameError, TypeError):
            return False
        first = next(iter(inspect.signature(self.function).parameters), "")
        annotation = hints.get(first)
        return WakeUp in {annotation, *getattr(annotation, "__args__", ())}

    @property
    def reads_near(self) -> bool:
        """Whether the function takes `near`."""
        return self.function is not None and len(inspect.signature(self.function).parameters) >= _WITH_NEAR

    def __call__(self, function: Function) -> Function:
        """Set the function, as a decorator; there is no other form."""
        self.function = function
        return function
