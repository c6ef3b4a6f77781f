"""Follows the changes of a table over HTTP, from whichever worker answers, and resumes after the last change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from larder.client.asking import OK, nobody, refuse_mistake
from larder.client.local_workers import FAILURES, Reply, read_reply, requested
from larder.queries.event_stream import EventReader, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from larder.client.local_workers import LocalWorker

SILENT_SECONDS = 30.0
"""A worker that sends nothing for this long may be stopped or cut off. Then reconnect, to it or to another one."""

RETRY_SECONDS = 0.5

PIECE_BYTES = 64 * 1024
"""The most bytes to read at a time: whatever is there is read at once."""

GONE_SECONDS = 60.0
"""Give up after a minute without a worker; a restart takes less."""


class Watch:
    """The changes of one table; `say` receives a line for each interruption."""

    def __init__(self, table: str, path: str, say: Callable[[str], None]) -> None:
        """Create a watch that starts with the next change."""
        self._table = table
        self._path = path
        self._say = say
        self._last_id = ""
        self._followed_at: float | None = None

    def events(self, workers: Callable[[], Sequence[LocalWorker]]) -> Iterator[ServerSentEvent]:
        """Yield events without end, from any of the current `workers`.

        Raises `MistakeError`, and `UnavailableError` if no worker can be followed, at the start or for a minute.
        """
        while True:
            replies: list[Reply] = []
            for worker in workers():
                reply = yield from self._of(worker)
                refuse_mistake(reply)
                if reply.status == OK:
                    self._say(f"{worker.worker} sends no more changes: resuming after the last one")
                    break
                replies.append(reply)
            else:
                if self._followed_at is None or time.monotonic() - self._followed_at > GONE_SECONDS:
                    raise nobody(self._table, "its changes", replies)
            time.sleep(RETRY_SECONDS)

    def _of(self, worker: LocalWorker) -> Generator[ServerSentEvent, None, Reply]:
        """Yield the events of one worker until it ends; return its reply, without a body if it was followed."""
        status = 0
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        try:
            with requested(worker, self._path, SILENT_SECONDS, headers) as answer:
                if answer.status != OK:
                    return read_reply(worker, answer)
                status, self._followed_at = OK, time.monotonic()
                reader = EventReader(self._last_id)
                while piece := answer.read1(PIECE_BYTES):
                    self._followed_at = time.monotonic()
                    for event in reader.feed(piece):
                        self._last_id = event.id
                        yield event
        except (*FAILURES, ValueError):
            pass  # its status tells them apart: none, or that of an answer that has ended
        return Reply(worker, status, {})
