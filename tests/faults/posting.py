"""Requests of clients that change rows. Each try is recorded, with its answer or without one."""

from __future__ import annotations

import time
from typing import Any

import aiohttp

from tests.faults.history import History, Posted

TIMEOUT = aiohttp.ClientTimeout(total=20)
"""A worker answers within 14 s: it tries for 3 s to find who decides, and waits 8 s for the commit."""


class Poster:
    """Sends requests to workers."""

    def __init__(self, session: aiohttp.ClientSession, ports: dict[str, int], history: History) -> None:
        self._session = session
        self._ports = ports
        self._history = history

    async def post(self, worker: str, path: str, serial: int, body: dict[str, Any], once: str = "") -> Posted:
        """Send a request once, and record it; a status of 0 means that there was no answer."""
        asked, status, answer = time.time(), 0, {}
        headers = {"Idempotency-Key": once} if once else {}
        address = f"http://127.0.0.1:{self._ports[worker]}{path}"
        try:
            async with self._session.post(address, json=body, headers=headers, timeout=TIMEOUT) as response:
                answer, status = await response.json(), response.status
        except aiohttp.ClientConnectorError:
            answer = {"type": "not reached"}
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        finally:
            # Also if the load ends meanwhile: then nobody knows whether it counts.
            found = Posted(worker, path, serial, once, body, asked, time.time(), status, answer)
            self._history.posted.append(found)
        return found
