"""What operators count: how many records each has handled, and their outcomes.

A kind registers the form of its counts with `counts_of`. Otherwise its counts are `Results`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol

from larder.counters.fields_as_dict import FieldsAsDict
from larder.counters.join_quality import QualityOfJoin
from larder.declaring.agents import AgentDeclaration
from larder.declaring.calls import Call
from larder.declaring.decides import Decide
from larder.declaring.joins import Join
from larder.declaring.reactions import Reaction
from larder.declaring.requests import Request


class OperatorCounts(Protocol):
    """The counts of one operator in this worker since it started; they only rise."""

    @property
    def handled(self) -> int:
        """The number of records that it has handled; its rate is the rate of this number."""

    def as_dict(self) -> dict[str, int]:
        """Return the number of records by outcome, each named in one word."""


class Results(Counter[str]):
    """Records by outcome, for a kind without a form of its own."""

    @property
    def handled(self) -> int:
        return self.total()

    def as_dict(self) -> dict[str, int]:
        return dict(self)


@dataclass
class DecideCounts(FieldsAsDict):
    """The outcomes of the events of a decide, and of its wake-ups."""

    decided: int = 0
    rows: int = 0
    emitted: int = 0
    refused: int = 0
    woken: int = 0
    parked: int = 0

    @property
    def handled(self) -> int:
        return self.decided


@dataclass
class RequestCounts(DecideCounts):
    """The outcomes of requests: `repeated` ones get their first answer again, `parked` ones have failed."""

    repeated: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return them with the words for requests, which are neither parked nor woken."""
        counts = super().as_dict()
        failed, _ = counts.pop("parked"), counts.pop("woken")
        return {**counts, "failed": failed}


@dataclass
class ReactionCounts(FieldsAsDict):
    """The outcomes of reactions to the changes of a table."""

    changes: int = 0
    emitted: int = 0
    parked: int = 0

    @property
    def handled(self) -> int:
        return self.changes


@dataclass
class AgentCounts(FieldsAsDict):
    """Records that an agent has received, and those that it has finished."""

    given: int = 0
    done: int = 0

    @property
    def handled(self) -> int:
        return self.done


@dataclass
class CallCounts(FieldsAsDict):
    """The calls that arrived, the attempts that began and failed, and how calls ended: done, given up, or parked."""

    arrived: int = 0
    begun: int = 0
    failed: int = 0
    done: int = 0
    given_up: int = 0
    parked: int = 0

    @property
    def handled(self) -> int:
        return self.arrived


@singledispatch
def counts_of(operator: object, clock: Callable[[], float]) -> OperatorCounts:  # noqa: ARG001 - by kind
    """Create the counts of an operator, all 0; `clock` returns seconds since the epoch, for samples."""
    return Results()


@counts_of.register
def _join(_: Join, clock: Callable[[], float]) -> OperatorCounts:
    return QualityOfJoin(clock)


@counts_of.register
def _decide(_: Decide, _clock: Callable[[], float]) -> OperatorCounts:
    return DecideCounts()


@counts_of.register
def _request(_: Request, _clock: Callable[[], float]) -> OperatorCounts:
    return RequestCounts()


@counts_of.register
def _reaction(_: Reaction, _clock: Callable[[], float]) -> OperatorCounts:
    return ReactionCounts()


@counts_of.register
def _agent(_: AgentDeclaration, _clock: Callable[[], float]) -> OperatorCounts:
    return AgentCounts()


@counts_of.register
def _call(_: Call, _clock: Callable[[], float]) -> OperatorCounts:
    return CallCounts()
