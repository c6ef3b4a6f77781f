"""The reports of the other workers of the service: all are asked at once, with a timeout of a second.

If a worker does not answer, only its name is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from larder.web.peers.client import hopping
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp import web

T = TypeVar("T")

OTHERS_SECONDS = 1.0
"""The timeout of all answers: a worker sends one within milliseconds, and a person is waiting for a page."""


async def told_by_others(request: web.Request, path: str, form: type[T]) -> dict[str, T | None]:
    """Return the answer of each other worker to `path` by the worker's name; None without a valid one in time."""
    here = sources(request)
    peers = [peer for peer in await here.directory.peers() if peer.worker != here.worker]
    answers = await asyncio.gather(*(hopping(request).ask(peer, path, OTHERS_SECONDS) for peer in peers))
    return {
        peer.worker: None if answer is None or answer.kind else answer.read(form)
        for peer, answer in zip(peers, answers, strict=True)
    }
