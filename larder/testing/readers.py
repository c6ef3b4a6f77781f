"""Tracks how far a step has read each of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from larder.declaring.dead_letters import cause_of
from larder.declaring.facts import input_name
from larder.declaring.sources import Source, events_of
from larder.testing.records import MemoryRecord
from larder.testing.steps import MemoryStep

if TYPE_CHECKING:
    from larder.testing.run import MemoryRun


class _Input:
    """An input of a step: its records, and how many of them the step has taken."""

    def __init__(self, source: Source, run: MemoryRun, take: Callable[[MemoryRecord], None], place: int) -> None:
        self.place = place
        self._topic = input_name(run.service, source)
        self._form = source.key_codec.one_form
        self._records = run.log(self._topic)
        self._taken = 0
        self._take = take
        self._dead_letter = run.dead_letter

    @property
    def behind(self) -> int:
        return len(self._records) - self._taken

    def take_next(self) -> None:
        record = self._records[self._taken]
        self._taken += 1
        try:
            self._take(self._formed(record))
        except ValueError as error:
            self._dead_letter(self._topic, record, cause_of(error))

    def _formed(self, record: MemoryRecord) -> MemoryRecord:
        """Return the record with its key in the form that Larder writes."""
        return record if self._form is None or record.key is None else replace(record, key=self._form(record.key))


class Reader:
    """A step, and how far it has read each of its inputs."""

    def __init__(self, run: MemoryRun, step: MemoryStep, first: Sequence[str]) -> None:
        """Start before the first record; read inputs in the order of `first`, then the others."""
        self.step = step
        places = {name: place for place, name in enumerate(first)}
        inputs = [
            _Input(source, run, take, places.get(events_of(source).name, len(places)))
            for source, take in step.inputs.items()
        ]
        self._inputs = sorted(inputs, key=lambda each: each.place)

    @property
    def behind(self) -> int:
        """The number of records that the step has not taken yet."""
        return sum(each.behind for each in self._inputs)

    @property
    def place(self) -> int:
        """The place in the order of topics of the next record; there must be one."""
        return self._next().place

    def take_next(self) -> None:
        """Take the next record; dead-letter it if the step refuses it. There must be one."""
        self._next().take_next()

    def _next(self) -> _Input:
        return next(each for each in self._inputs if each.behind)
