"""A member of the newer consumer group protocol (KIP-848, `group.protocol=consumer`), as far as its group can tell.

aiokafka only speaks the older protocol. The fields of the request are those of Kafka's
`ConsumerGroupHeartbeatRequest.json` (version 0). Only the beginning of the answer is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from tests.support.topics import until

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)
_JOIN, _LEAVE = 0, -1
_STAYS_MS = 60_000


class _HeartbeatResponse(Response):
    API_KEY = 68
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("error_message", _TEXT), ("member_id", _TEXT),
        ("member_epoch", Int32),
    )  # fmt: skip


class _HeartbeatRequest(RequestStruct):
    API_KEY = 68
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _HeartbeatResponse
    SCHEMA = Schema(
        ("group_id", _TEXT), ("member_id", _TEXT), ("member_epoch", Int32), ("instance_id", _TEXT), ("rack_id", _TEXT),
        ("rebalance_timeout_ms", Int32), ("topics", CompactArray(_TEXT)), ("assignor", _TEXT),
        ("owned", CompactArray(Int32)), _TAGS,
    )  # fmt: skip


class _Heartbeat(Request[_HeartbeatRequest]):
    API_KEY = 68

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[_HeartbeatRequest]) -> _HeartbeatRequest:
        return request_struct_class(*self._fields, {})


@asynccontextmanager
async def newer_member(kafka: str, group: str, topic: str, client_id: str) -> AsyncIterator[None]:
    """Be a member during the block. The broker keeps a silent member for 45 s."""
    client = AIOKafkaClient(bootstrap_servers=kafka, client_id=client_id)
    await client.bootstrap()

    async def beat(*fields: Any) -> Any:
        return await client.send(client.get_random_node(), _Heartbeat(group, *fields))

    async def joined() -> Any:
        """Return the answer. A coordinator that is being created or loads its groups refuses."""
        await client.send(client.get_random_node(), FindCoordinatorRequest(group, CoordinationType.GROUP))
        answer = await beat("", _JOIN, None, None, _STAYS_MS, [topic], None, [])
        return answer if answer.error_code == 0 else None

    try:
        member = await until(joined, 20, "a member of the newer protocol")
        yield
        await beat(member.member_id, _LEAVE, None, None, -1, None, None, None)
    finally:
        await client.close()
