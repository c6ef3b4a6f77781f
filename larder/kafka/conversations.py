"""Short conversations with a broker: bounded in time, with failures a user can read.

For commands, which end after an answer. A worker waits for an unreachable broker instead.
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
    """Keep Kafka's client from logging: the caller reports its failures, once."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


def talk(connection: Connection, conversation: Coroutine[Any, Any, T], seconds: float = CONVERSATION_SECONDS) -> T:
    """Run a conversation with the broker.

    Raises `UnavailableError` for every error of Kafka's client, and when it takes longer than `seconds`.
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
    """Report what a broker did instead of answering."""
    problem = Problem(f"broker {connection}", "requires to do what it is asked for", found, "look at the broker's log")
    return UnavailableError(problem)
