"""Runs a decide in memory: takes its events from their topics, and wakes it when the clock comes to a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import cause_of
from larder.declaring.decides import Decide
from larder.declaring.decisions import WakeUp, as_utc
from larder.declaring.facts import input_name, wake_ups_name
from larder.testing.decider import MemoryDecider
from larder.testing.placement import check_event_place
from larder.testing.records import MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory
from larder.testing.wake_ups import SetWakeUp


@open_in_memory.register
def _open(decide: Decide, run: MemoryRun) -> MemoryStep:
    return MemoryDecide(decide, run)


class MemoryDecide(MemoryStep):
    """A decide and the wake-ups of its state; raises ValueError for events that it cannot decide on."""

    def __init__(self, decide: Decide, run: MemoryRun) -> None:
        """Start before the first event."""
        self.inputs = {source: partial(self._take, number) for number, source in enumerate(decide.inputs)}
        self._run = run
        self._decider = MemoryDecider(decide, run)
        self._carried = [run.carried(input_name(run.service, source)) for source in decide.inputs]
        self._wake_ups = self._decider.wake_ups
        self._wake_ups_topic = wake_ups_name(run.service.name, decide)

    def due(self) -> float:
        """Return the time of the first wake-up."""
        return self._wake_ups.due()

    def tick(self) -> bool:
        """Wake one row that is due; return whether there was one."""
        if self.due() > self._run.now:
            return False
        key, wake_up = self._wake_ups.first()
        self._wake(key, wake_up)
        self._wake_ups.fired(key, wake_up.at)
        return True

    def _take(self, number: int, record: MemoryRecord) -> None:
        decider = self._decider
        source = decider.compiled.decide.inputs[number]
        key, event = decider.compiled.events[number](record.value)
        check_event_place(source, record, decider.topic, key, decider.count)
        where = Coordinates(input_name(self._run.service, source), 0, record.offset)
        decider.decide(key, event, str(where), replace(record, headers=self._carried[number].of(record)))

    def _wake(self, key: bytes, wake_up: SetWakeUp) -> None:
        now = int(self._run.now * 1000)
        json = msgspec.json.encode({"key": key, "at": wake_up.at})
        headers = self._run.carried(self._wake_ups_topic).again(list(wake_up.headers))
        record = MemoryRecord(key, json, wake_up.offset, wake_up.headers, now)
        try:
            event = WakeUp(self._decider.topic.key_codec.decode(key), as_utc(wake_up.at))
            where = Coordinates(self._wake_ups_topic, 0, wake_up.offset)
            self._decider.decide(key, event, str(where), MemoryRecord(key, None, wake_up.offset, headers, now))
        except ValueError as error:
            self._run.dead_letter(self._wake_ups_topic, record, cause_of(error))
