"""What a broker answers that does not create a topic, in one line with the broker's own reason. Pure.

Two kinds: a declaration has to change (its name, its settings), or the cluster does (rights, brokers).
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
"""Settings that brokers of before do not know, and can do without: they do not have the limit."""


class TopicRefusal(NamedTuple):
    """That a broker does not create a topic; `error` is what it answered."""

    topic: str
    error: type[BrokerResponseError]
    problem: Problem


class TopicsUnavailableError(LarderError):
    """Topics cannot be created before something outside changes; `problems` has all refusals."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


def refusal(use: TopicUse, copies: int, error: type[BrokerResponseError], reason: str | None) -> TopicRefusal:
    """Say why a broker does not create `use` with so many copies; `reason` is in its own words."""
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
    """Whether a broker refuses a topic for a setting that it does not know."""
    return refusal.error is InvalidConfigurationError and any(name in refusal.problem.found for name in TOO_NEW)


def refused(refusals: Sequence[TopicRefusal]) -> LarderError:
    """Give the error for refusals: a mistake if there is one among them, which no waiting makes good."""
    problems = [each.problem for each in refusals]
    if any(each.error in _MISTAKES for each in refusals):
        return DeclarationError(problems)
    return TopicsUnavailableError(problems)
