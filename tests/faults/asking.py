"""Look-ups while workers run. Each answer is recorded, including 404 and 503."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import aiohttp

from tests.faults.history import Answer, History

PAUSE_SECONDS = 0.02
TIMEOUT = aiohttp.ClientTimeout(total=3)


class Asker:
    """Asks the workers in turn for rows of tables."""

    def __init__(self, session: aiohttp.ClientSession, ports: dict[str, int], history: History) -> None:
        self._session = session
        self._ports = ports
        self._history = history

    async def ask(self, worker: str, table: str, key: str) -> Answer | None:
        """Ask for a row; None if the worker does not answer."""
        asked = time.time()
        try:
            address = f"http://127.0.0.1:{self._ports[worker]}/tables/{table}/rows/{key}"
            async with self._session.get(address) as response:
                body = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        answer = Answer(worker, table, key, asked, time.time(), response.status, body)
        self._history.answers.append(answer)
        return answer

    async def go_on(self, workers: Sequence[str], rows: Sequence[tuple[str, str]], seed: int) -> None:
        """Ask for random `rows` (table and key) until cancelled."""
        chance = random.Random(seed)  # noqa: S311 - nothing is secret here
        while True:
            await self.ask(chance.choice(workers), *chance.choice(rows))
            await asyncio.sleep(PAUSE_SECONDS)
