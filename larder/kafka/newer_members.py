"""Members of a group that speak the newer consumer group protocol (KIP-848, `group.protocol=consumer`).

DescribeGroups does not show them, and workers speak the older protocol. aiokafka 0.14 has no ConsumerGroupDescribe.
Request and answer are described here field by field after
Kafka's `ConsumerGroupDescribeRequest.json` and `ConsumerGroupDescribeResponse.json` (version 0). Uses aiokafka's
protocol classes. `tests/cluster/test_foreign_members.py` fails when they change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import GroupIdNotFound, IncompatibleBrokerVersion, NoError, UnsupportedVersionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from larder.kafka.topic_metadata import TopicId

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)
_GIVEN = Schema(
    ("topic_partitions", CompactArray(
        ("topic_id", TopicId), ("topic_name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS,
    )), _TAGS,
)  # fmt: skip
_MEMBER = (
    ("member_id", _TEXT), ("instance_id", _TEXT), ("rack_id", _TEXT), ("member_epoch", Int32), ("client_id", _TEXT),
    ("client_host", _TEXT), ("topics", CompactArray(_TEXT)), ("topic_regex", _TEXT), ("assignment", _GIVEN),
    ("target_assignment", _GIVEN), _TAGS,
)  # fmt: skip
_GROUP = (
    ("error_code", Int16), ("error_message", _TEXT), ("group_id", _TEXT), ("state", _TEXT), ("epoch", Int32),
    ("assignment_epoch", Int32), ("assignor", _TEXT), ("members", CompactArray(*_MEMBER)), ("operations", Int32),
    _TAGS,
)  # fmt: skip


class _DescribeResponse(Response):
    API_KEY = 69
    API_VERSION = 0
    SCHEMA = Schema(("throttle_time_ms", Int32), ("groups", CompactArray(*_GROUP)), _TAGS)


class _DescribeRequest(RequestStruct):
    API_KEY = 69
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeResponse
    SCHEMA = Schema(("groups", CompactArray(_TEXT)), ("with_operations", Boolean), _TAGS)


class _Describe(Request[_DescribeRequest]):
    API_KEY = 69

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_DescribeRequest]) -> _DescribeRequest:
        return request_struct_class([self._group], False, {})  # noqa: FBT003 - in the schema's order


async def newer_members(ask: Callable[[Request[Any]], Awaitable[Any]], group: str) -> list[str]:
    """Return the client ids and hosts of the members, none if the group uses the older protocol; raises KafkaError.

    `ask` sends a request to the group's coordinator.
    """
    try:
        answer = await ask(_Describe(group))
    except IncompatibleBrokerVersion:  # a broker before 3.7 has only the older protocol
        return []
    (found,) = answer.groups
    error = for_code(found[0])
    if error is NoError:
        return sorted(f"{client_id} at {host}" for _, _, _, _, client_id, host, *_ in found[7])
    if error is GroupIdNotFound or error is UnsupportedVersionError:
        return []
    raise error(group)
