"""Why a broker refuses to create a topic: one line with the broker's own reason. Pure.

Either the declaration has to change (its name, its settings), or the cluster (permissions, brokers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

from larder.declaring.plurals import counted
from larder.declaring.problems import DeclarationError, LarderError, Problem
from larder.declaring.topology import AFTER_MAX

if TYPE_CHECKING:
    from larder.declaring.topology import TopicUse

_MISTAKES: Final = {
    InvalidTopicError: "choose another name: Kafka takes . and _ for the same character in names",
    InvalidPartitionsError: "declare another number of partitions",
    InvalidConfigurationError: "declare settings that the brokers take",
    PolicyViolationError: "declare what the policy of the brokers allows, or have their owner create the topic",
}
_RIGHTS: Final = "give this client the right to create topics, or have somebody create it who has that right"
_OUTSIDE: Final = {
    ClusterAuthorizationFailedError: _RIGHTS,
    TopicAuthorizationFailedError: _RIGHTS,
    InvalidReplicationFactorError: "start the brokers that are down",
}


TOO_NEW: Final = frozenset({AFTER_MAX})
"""Settings that older brokers neither know nor need: they have no such limit."""


class TopicRefusal(NamedTuple):
    """A broker's refusal to create a topic; `error` is its answer."""

    topic: str
    error: type[BrokerResponseError]
    problem: Problem


class TopicsUnavailableError(LarderError):
    """Topics cannot be created until the cluster changes; `problems` has all refusals."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


def refusal(use: TopicUse, copies: int, error: type[BrokerResponseError], reason: str | None) -> TopicRefusal:
    """Return the refusal of `use` with that many copies; `reason` is in the broker's own words."""
    return TopicRefusal(
        use.name,
        error,
        Problem(
            f"topic {use.name}",
            f"requires a broker that creates it, with {counted(use.partitions, 'partition')} and"
            f" replication factor {copies}",
            f"a refusal: {(reason or error.description).rstrip('. ')} ({error.__name__})",
            _MISTAKES.get(error) or _OUTSIDE.get(error) or "look at the log of the brokers",
        ),
    )


def is_too_new(refusal: TopicRefusal) -> bool:
    """Return whether the broker does not know a setting of the topic."""
    return refusal.error is InvalidConfigurationError and any(name in refusal.problem.found for name in TOO_NEW)


def refused(refusals: Sequence[TopicRefusal]) -> LarderError:
    """Return the error for refusals. If any of them is a mistake, so is the error: waiting does not help."""
    problems = [each.problem for each in refusals]
    if any(each.error in _MISTAKES for each in refusals):
        return DeclarationError(problems)
    return TopicsUnavailableError(problems)
