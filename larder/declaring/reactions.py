"""Reactions to changes of a table as values, and the function that one comes down to.

Nothing is checked where it is declared, so that all mistakes can be reported together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar

from larder.declaring.calls import call
from larder.declaring.decides import several
from larder.declaring.decoding import decoder
from larder.declaring.events import Emitted, emitter
from larder.declaring.sources import TableUse
from larder.declaring.topics import EventTopic

Function = TypeVar("Function", bound=Callable[..., Any])


class Unknown(Enum):
    """In the place of a row that nobody can tell any more."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Old: TypeAlias = bytes | Unknown | None


@dataclass(eq=False)
class Reaction:
    """A function over the changes of a table; what it gives goes `into` topics."""

    table: TableUse
    into: tuple[EventTopic, ...] = ()
    function: Callable[..., Any] | None = field(default=None)

    @property
    def name(self) -> str:
        """The name of a reaction is that of its function."""
        return getattr(self.function, "__name__", repr(self.function))

    def __call__(self, function: Function) -> Function:
        """Take the function; the decorator form is the only one."""
        self.function = function
        return function


def compile_reaction(reaction: Reaction) -> Callable[[Old, bytes | None], Sequence[Emitted]]:
    """Build the function that gives what is emitted for a change; ValueError for what cannot be."""
    decode = decoder(reaction.table.topic.row)
    emitted = emitter(f"the function {reaction.name} on {reaction.table.name}", reaction.into)

    def react(old: Old, new: bytes | None) -> Sequence[Emitted]:
        before = decode(old) if isinstance(old, bytes) else old
        result = call(reaction.function or _nothing, before, None if new is None else decode(new))
        return () if result is None else emitted(several(result))

    return react


def _nothing(*_: Any) -> None:
    """Do nothing: the checks refuse a reaction without a function."""
