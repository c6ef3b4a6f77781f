"""Compiles reactions into functions from bytes to events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from larder.declaring.decoding import decoder
from larder.declaring.events import Emitted, emitter
from larder.declaring.sources import several
from larder.declaring.user_functions import call

if TYPE_CHECKING:
    from larder.declaring.reactions import Old, Reaction


def compile_reaction(reaction: Reaction) -> Callable[[Old, bytes | None], Sequence[Emitted]]:
    """Build the function that encodes the events of a change; it raises ValueError if it cannot encode one."""
    decode = decoder(reaction.table.topic.row)
    emitted = emitter(f"the function {reaction.name} on {reaction.table.name}", reaction.into)

    def react(old: Old, new: bytes | None) -> Sequence[Emitted]:
        before = decode(old) if isinstance(old, bytes) else old
        result = call(reaction.function or _nothing, before, None if new is None else decode(new))
        return () if result is None else emitted(several(result))

    return react


def _nothing(*_: Any) -> None:
    """Do nothing; the checks reject a reaction without a function."""
