"""Requests as values: decides that a client asks for over HTTP, and gets the outcome of.

A request is decided in the partition of its row, together with the events of the state's decide. Declaring one checks
nothing, so that the checks can report all mistakes together.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_type_hints
from uuid import UUID

import msgspec

from larder.declaring.checks.requests import request_problems
from larder.declaring.counted_requests import requests_name
from larder.declaring.decides import Decide
from larder.declaring.examples import example
from larder.declaring.facts import Facts, dead_letters_name
from larder.declaring.operators import Edge, KeptTopic, Role, Topic, names
from larder.declaring.problems import Problem
from larder.declaring.rows import Row
from larder.declaring.sources import Source, TableUse

if TYPE_CHECKING:
    from larder.declaring.service import Service

PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A field of the request in its path."""


@dataclass(eq=False)
class Request(Decide):
    """A function over the requests at an `address` and the rows of `state`, which this service owns.

    The type of the request is that of the function's first parameter. Its field with the name of the state's key says
    which row it is about. With `scope`, the name of another field, an `Idempotency-Key` counts for each of its values.
    """

    address: str = field(kw_only=True)
    scope: str = field(kw_only=True, default="")

    kind = "request"
    listed_as = "operators"

    @property
    def name(self) -> str:
        """Its address, for example `POST /orders`."""
        return self.address

    @property
    def path(self) -> str:
        """The path of the address."""
        return self.address.partition(" ")[2]

    @property
    def parameters(self) -> list[str]:
        """The fields of the request that are in its path."""
        return PARAMETER.findall(self.path)

    @property
    def makes_ids(self) -> bool:
        """Whether an `Idempotency-Key` may stand for the key of a row that the request leaves out."""
        return self.state.topic.key_type in {str, UUID}

    @property
    def body(self) -> type[Row] | None:
        """The type of the request; None if the function does not say it."""
        if self.function is None:
            return None
        try:
            hints = get_type_hints(self.function)
        except (NameError, TypeError):
            return None
        found = hints.get(next(iter(inspect.signature(self.function).parameters), ""))
        return found if isinstance(found, type) and issubclass(found, Row) else None

    @property
    def required(self) -> list[str]:
        """The names in JSON of the fields that a body must have: neither those in the path, nor an id that is made."""
        fields = () if self.body is None else msgspec.structs.fields(self.body)
        elsewhere = {*self.parameters, *([self.state.topic.key] if self.makes_ids else ())}
        needed = (each for each in fields if each.required or each.name == self.state.topic.key)
        return [each.encode_name for each in needed if each.name not in elsewhere]

    @property
    def wakes(self) -> bool:
        """No: only the decide of the state is woken, also by the wake-ups that a request sets."""
        return False

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        """Yield its state with itself: it has a number of partitions also if nothing else meets it."""
        yield self.state.topic, self.state.topic

    def summary(self) -> dict[str, Any]:
        """Return its kind, its address, its state, the topics of the events that it emits, and an example of a body."""
        return {
            "kind": self.kind,
            "name": self.name,
            "state": self.state.name,
            "into": names(self.into),
            "example": {} if self.body is None else example(self.body, self.parameters),
        }

    def outline(self) -> dict[str, Any]:
        """Return the same."""
        return self.summary()

    def sentence(self) -> str:
        """Describe in one line which requests change which state."""
        into = f" into {', '.join(names(self.into))}" if self.into else ""
        return f"request {self.name} changes {self.state.name}{into}"

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Request:  # noqa: ARG002 - as every operator
        """Replace its state."""
        return replace(self, state=table(self.state))

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        """Yield the topics of its refusals, and of the requests that its state has counted."""
        yield from (each for each in super().keeps(service) if not each.compacted)
        name = requests_name(service, self.state)
        yield KeptTopic(name, Role.REQUESTS, self.state.read_from, compacted=True)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return request_problems(service, self, facts)

    def edges(self, service: str) -> Iterator[Edge]:
        """Return the edges of its state, its events and its refusals; a request that fails is no dead letter."""
        letters = f"topic:{dead_letters_name(service)}"
        return (each for each in super().edges(service) if each.to != letters)
