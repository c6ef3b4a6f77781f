"""The words to declare calls with, until `larder` has them: `call(service, ...)` becomes `service.call(...)`."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from larder import EventTopic, Row, Service
from larder.types import Rekeyed


@dataclass(frozen=True)
class Attempt:
    """One attempt of a call: its idempotency key, its number from 1, and a number that rises with each attempt."""

    key: str
    number: int
    fence: int


class Unavailable(Exception):  # noqa: N818 - as in `larder`
    """The outside cannot be asked now, for whatever event."""


@dataclass(frozen=True)
class GaveUp:
    """Why a call was given up, and after how many attempts."""

    reason: str
    attempts: int


@dataclass(frozen=True)
class Retry:
    """When to try again, in seconds: after `first`, later after at most `most`, and not after `within`."""

    first: float
    most: float
    within: float


Function = TypeVar("Function", bound=Callable[[Any, Attempt], Coroutine[Any, Any, Row | None]])


@dataclass
class Call:
    """What a service declares of a call."""

    source: EventTopic | Rekeyed
    function: Callable[[Any, Attempt], Coroutine[Any, Any, Row | None]]
    into: Sequence[EventTopic]
    key: Callable[[Any], str]
    timeout: float
    retry: Retry
    at_once: int
    only_while: tuple[Any, Callable[[Any], bool]] | None = None
    otherwise: Callable[[Any, GaveUp], Row] | None = None


CALLS: Final[dict[str, list[Call]]] = {}
"""The calls of each service, by its name."""


def call(service: Service, source: EventTopic | Rekeyed, **options: Any) -> Callable[[Function], Function]:
    """Declare a call of a service."""

    def declare(function: Function) -> Function:
        CALLS.setdefault(service.name, []).append(Call(source, function, **options))
        return function

    return declare
