"""Decides as values: the events, the state that they change, where what is emitted goes.

Nothing is checked here, so that all mistakes can be reported together.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, get_type_hints

from larder.declaring.decisions import WakeUp
from larder.declaring.rows import Row
from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import EventTopic, OwnerTopic

Topic: TypeAlias = EventTopic | OwnerTopic
Function = TypeVar("Function", bound=Callable[..., Any])

_WITH_NEAR = 3


@dataclass(eq=False)
class Decide:
    """A function over the events of `inputs` and the rows of `state`, which this service owns.

    `folds`: the function gives the new row itself, and nothing is emitted.
    """

    inputs: tuple[Source, ...]
    state: TableUse
    into: tuple[Topic, ...] = ()
    folds: bool = False
    function: Callable[..., Any] | None = field(default=None)

    @property
    def name(self) -> str:
        """The name of a decide is that of its state."""
        return self.state.name

    @property
    def wakes(self) -> bool:
        """Whether the function takes wake-ups: its first parameter says so."""
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
        """Take the function; the decorator form is the only one."""
        self.function = function
        return function


def several(given: Any) -> tuple[Any, ...]:
    """Give what was declared as a tuple, also a single one."""
    if isinstance(given, Row):
        return (given,)
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
