"""Keeps the wake-ups of a state in memory: those that its decide sets, and those that its requests set."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from larder.testing.records import Headers


class SetWakeUp(NamedTuple):
    """The time of a row's wake-up, in seconds since 1970, its offset in the topic of wake-ups, and its headers."""

    at: float
    offset: int
    headers: Headers = ()


class MemoryWakeUps:
    """Wake-ups by the encoded key of their row, which has at most one."""

    def __init__(self) -> None:
        """Start without any."""
        self._wake_ups: dict[bytes, SetWakeUp] = {}
        self._ever_set = 0

    def due(self) -> float:
        """Return the time of the first wake-up."""
        return min((each.at for each in self._wake_ups.values()), default=inf)

    def first(self) -> tuple[bytes, SetWakeUp]:
        """Return the key of the row that is woken first, and its wake-up."""
        wake_up, key = min((wake_up, key) for key, wake_up in self._wake_ups.items())
        return key, wake_up

    def set(self, key: bytes, at: float, headers: Headers = ()) -> None:
        """Set the wake-up of a row; it replaces an earlier one."""
        self._wake_ups[key] = SetWakeUp(at, self._ever_set, headers)
        self._ever_set += 1

    def fired(self, key: bytes, at: float) -> None:
        """Forget a wake-up that has fired, unless the row has another one by now."""
        if self._wake_ups[key].at == at:
            del self._wake_ups[key]
