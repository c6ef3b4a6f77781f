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

    def __init__(self, source: Source, run: MemoryRun, take: Callable[[MemoryRecord], None]) -> None:
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
        sources = sorted(step.inputs, key=lambda source: places.get(events_of(source).name, len(places)))
        self._inputs = [_Input(source, run, step.inputs[source]) for source in sources]

    @property
    def behind(self) -> int:
        """The number of records that the step has not taken yet."""
        return sum(each.behind for each in self._inputs)

    def take_next(self) -> bool:
        """Take the next record, and return whether there was one; dead-letter it if the step refuses it."""
        behind = next((each for each in self._inputs if each.behind), None)
        if behind is None:
            return False
        behind.take_next()
        return True
