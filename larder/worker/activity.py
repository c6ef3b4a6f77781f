"""What a worker is doing, or what it is waiting for. Each change is logged."""

from __future__ import annotations

import logging
from typing import Final

from larder.config.connection import Connection

log = logging.getLogger("larder")

ENDING: Final = frozenset({"stopping", "stopped"})
"""Activities that do not need the broker."""

SCALING: Final = "being scaled to "
"""The beginning of the activity of a worker whose service gets another number of partitions."""


class Activity:
    """What the worker of a service is `doing`, and whether its broker `answers`."""

    def __init__(self, service: str, worker: str, connection: Connection) -> None:
        self.doing = self._logged = "starting"
        self.answers = True
        self._service = service
        self._worker = worker
        self._connection = connection

    def __str__(self) -> str:
        if self.answers or self.doing in ENDING:
            return self.doing
        return f"waiting for the broker at {self._connection}"

    def begin(self, doing: str) -> None:
        """Start a new activity."""
        self.doing = doing
        self._log()

    def end(self) -> None:
        """Note that the worker has stopped, without logging it."""
        self.doing = "stopped"

    def answered(self) -> None:
        """Note that the broker has answered."""
        self.answers = True
        self._log()

    def missed(self) -> None:
        """Note that the broker does not answer."""
        self.answers = False
        self._log()

    def _log(self) -> None:
        if str(self) != self._logged:
            self._logged = str(self)
            log.info("worker %s of %s: %s", self._worker, self._service, self._logged)
