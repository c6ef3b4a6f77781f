"""Short conversations with a broker: they have a time limit, and failures are readable.

They are for commands, which end after an answer. A worker waits for an unreachable broker instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from aiokafka.errors import KafkaError

from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

T = TypeVar("T")

CONVERSATION_SECONDS = 20.0
"""For a few requests. A healthy broker answers each in milliseconds."""


def quiet_client() -> None:
    """Silence Kafka's client: the caller reports its failures, once."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


def talk(connection: Connection, conversation: Coroutine[Any, Any, T], seconds: float = CONVERSATION_SECONDS) -> T:
    """Run a conversation with the broker.

    Raises `UnavailableError` for every error of Kafka's client, and if the conversation takes longer than `seconds`.
    """
    quiet_client()

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await conversation

    try:
        return asyncio.run(bounded())
    except TimeoutError as error:
        raise unavailable(connection, f"no answer within {seconds:g} s") from error
    except (KafkaError, OSError) as error:
        raise unavailable(connection, str(error) or type(error).__name__) from error


def unavailable(connection: Connection, found: str) -> UnavailableError:
    """Return the error for a broker that did `found` instead of answering."""
    problem = Problem(f"broker {connection}", "requires to do what it is asked for", found, "look at the broker's log")
    return UnavailableError(problem)
