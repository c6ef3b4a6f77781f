"""What the other workers of the service say of themselves: all are asked at the same time, within a second.

Who does not answer by then is known by its name alone.
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
"""For the answers of all: a worker is at most slices of milliseconds away from one, and somebody looks at a page."""


async def told_by_others(request: web.Request, path: str, form: type[T]) -> dict[str, T | None]:
    """Give what each other worker answers for `path`, by its name; None of one that gives no such answer in time."""
    here = sources(request)
    peers = [peer for peer in await here.directory.peers() if peer.worker != here.worker]
    answers = await asyncio.gather(*(hopping(request).ask(peer, path, OTHERS_SECONDS) for peer in peers))
    return {
        peer.worker: None if answer is None or answer.kind else answer.read(form)
        for peer, answer in zip(peers, answers, strict=True)
    }
