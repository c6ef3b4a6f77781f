"""What a broker says about a consumer group of the older protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest


async def describe_group(ask: Callable[[Any], Awaitable[Any]], group: str) -> Any:
    """Return the error, name, state, kind, protocol and members of a group; raise KafkaError.

    `ask` sends a request to the group's coordinator.
    """
    (described,) = (await ask(DescribeGroupsRequest([group]))).groups
    if (error := for_code(described[0])) is not NoError:
        raise error(group)
    return described
