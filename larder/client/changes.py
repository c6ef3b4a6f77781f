"""Follows the changes of a table over HTTP, whichever worker answers, and goes on behind the last one that was seen."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from larder.client.asking import OK, nobody, refuse_mistake
from larder.client.event_stream import LARGEST_LINE, EventReader
from larder.client.local_workers import Reply, read_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from larder.client.event_stream import ServerSentEvent
    from larder.client.local_workers import LocalWorker

SILENT_SECONDS = 30.0
"""A worker that says nothing for so long may be stopped or cut off: it is asked again, or another one is."""

RETRY_SECONDS = 0.5

GONE_SECONDS = 60.0
"""So long nobody can be followed, and it is no restart any more."""


class Watch:
    """Changes of one table; `say` gets what goes wrong meanwhile."""

    def __init__(self, table: str, path: str, say: Callable[[str], None]) -> None:
        """Begin with what changes from now on."""
        self._table = table
        self._path = path
        self._say = say
        self._last_id = ""
        self._followed_at: float | None = None

    def events(self, workers: Callable[[], Sequence[LocalWorker]]) -> Iterator[ServerSentEvent]:
        """Give events for ever, of whichever of the `workers` of the moment.

        Raises `MistakeError`, and `UnavailableError` when none can be followed, at first or for a minute.
        """
        while True:
            replies: list[Reply] = []
            for worker in workers():
                reply = yield from self._of(worker)
                refuse_mistake(reply)
                if reply.status == OK:
                    self._say(f"{worker.worker} sends no more changes: going on behind the last one")
                    break
                replies.append(reply)
            else:
                if self._followed_at is None or time.monotonic() - self._followed_at > GONE_SECONDS:
                    raise nobody(self._table, "its changes", replies)
            time.sleep(RETRY_SECONDS)

    def _of(self, worker: LocalWorker) -> Generator[ServerSentEvent, None, Reply]:
        """Give what one worker sends until it ends; returns its reply, without a body if it was followed."""
        connection = http.client.HTTPConnection(urlsplit(worker.web).netloc, timeout=SILENT_SECONDS)
        status = 0
        try:
            last = {"Last-Event-ID": self._last_id} if self._last_id else {}
            connection.request("GET", self._path, headers={"Accept": "text/event-stream", **last})
            answer = connection.getresponse()
            if answer.status != OK:
                return read_reply(worker, answer)
            status, self._followed_at = OK, time.monotonic()
            reader = EventReader(self._last_id)
            while line := answer.readline(LARGEST_LINE):
                self._followed_at = time.monotonic()
                if (event := reader.line(line.decode(errors="replace").rstrip("\r\n"))) is not None:
                    self._last_id = event.id
                    yield event
        except (OSError, http.client.HTTPException, ValueError):
            pass  # told by the status: none, or that of an answer that has ended
        finally:
            connection.close()
        return Reply(worker, status, {})
