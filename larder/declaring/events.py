"""Encodes the events that a function emits, for the topics with their row types."""

from collections.abc import Callable, Sequence
from reprlib import repr as shortened
from typing import Any, TypeAlias

import msgspec

from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic
from larder.declaring.user_functions import FunctionFailedError, failed

Topic: TypeAlias = EventTopic | OwnerTopic
Emitted: TypeAlias = tuple[int, bytes, bytes]
"""The position of an event's topic in `into`, and the event's key and value."""


def emitter(who: str, into: Sequence[Topic]) -> Callable[[Sequence[Any]], Sequence[Emitted]]:
    """Build the function that encodes events; it raises a ValueError that names `who` if an event has no topic."""
    encode = msgspec.json.Encoder().encode
    known: dict[type[Row], tuple[int, Topic]] = {topic.row: (at, topic) for at, topic in enumerate(into)}

    def one(row: Any) -> Emitted:
        if type(row) not in known:
            names = " and ".join(row_type.__name__ for row_type in known) or "nothing"
            message = f"{who} must emit {names}, which `into` has topics for; it emitted {shortened(row)}"
            raise FunctionFailedError(message)
        at, topic = known[type(row)]
        try:
            return at, topic.key_codec.encode(getattr(row, topic.key)), encode(row)
        except Exception as error:
            what = f"writing an event of {topic.name}"
            raise failed(what, error) from error

    return lambda given: [one(row) for row in given]
