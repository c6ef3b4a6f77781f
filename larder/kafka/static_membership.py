"""A member of a group that keeps its place across a restart (static membership, KIP-345).

aiokafka 0.14 sends the instance id only when it joins. Without the id in heartbeats and commits, a replaced process
learns that it is unknown, joins again under the same id and replaces its successor. Besides, aiokafka never leaves
the group, so that a drain takes the session timeout. Here heartbeats, commits and leaving carry the id, described
field by field after Kafka's `HeartbeatRequest.json`, `OffsetCommitRequest.json` and `LeaveGroupRequest.json`. A
replaced process sends nothing more to the group. A member whose id the group has forgotten (`member_ids`) joins again,
as does one whose rebalance ended with its coordinator.

With several protocols, aiokafka joins once for each of them, and members make each other rebalance without end. So it
gets one protocol, which this module offers under several names.

Uses aiokafka's group coordinator and protocol classes. `tests/larder/kafka/test_static_membership.py` fails when they
change.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

from larder.declaring.problems import LarderError, Problem
from larder.kafka.batch_consumer import BatchConsumer
from larder.kafka.member_ids import MemberIds

log = logging.getLogger("larder")

FENCED_INSTANCE = 82
"""The error code for a member that another process has replaced; aiokafka does not know it."""

_LOADING, _UNAVAILABLE, _MOVED = 14, 15, 16
"""The error codes of a coordinator that still reads its group, that is not there yet, and that is no longer it."""

_UNKNOWN_MEMBER, _REBALANCING = 25, 27
"""The error codes for a member that has to join with a new id, and for one that has to join again."""

_TEXT = String("utf-8")


class ReplacedError(LarderError, KafkaError):
    """Another process has joined under this worker's name, and replaced it in the group."""

    def __init__(self, group: str, member: str) -> None:
        self.problem = Problem(
            f"worker {member}",
            f"requires a name that no other worker has in the group {group}",
            "another process that has joined under it, and has its partitions now",
            "stop that process, or give this worker another name (--name)",
        )
        super().__init__(str(self.problem))

    def __str__(self) -> str:
        return str(self.problem)


class _HeartbeatResponseV3(Response):
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16))


class _HeartbeatRequestV3(RequestStruct):
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = _HeartbeatResponseV3
    SCHEMA = Schema(
        ("group_id", _TEXT), ("generation_id", Int32), ("member_id", _TEXT), ("group_instance_id", _TEXT)
    )  # fmt: skip


class _OffsetCommitResponseV7(Response):
    API_KEY = 8
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", Array(("topic", _TEXT), ("partitions", Array(("partition", Int32), ("error_code", Int16))))),
    )


class _OffsetCommitRequestV7(RequestStruct):
    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetCommitResponseV7
    SCHEMA = Schema(
        ("group_id", _TEXT), ("generation_id", Int32), ("member_id", _TEXT), ("group_instance_id", _TEXT),
        ("topics", Array(
            ("topic", _TEXT),
            ("partitions", Array(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT),
            )),
        )),
    )  # fmt: skip


class _LeaveGroupResponseV3(Response):
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16))),
    )  # fmt: skip


class _LeaveGroupRequestV3(RequestStruct):
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveGroupResponseV3
    SCHEMA = Schema(("group_id", _TEXT), ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))))


class _Heartbeat(Request[_HeartbeatRequestV3]):
    API_KEY = 12

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[_HeartbeatRequestV3]) -> _HeartbeatRequestV3:
        return request_struct_class(*self._fields)


class _OffsetCommit(Request[_OffsetCommitRequestV7]):
    API_KEY = 8

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[_OffsetCommitRequestV7]) -> _OffsetCommitRequestV7:
        return request_struct_class(*self._fields)


class _LeaveGroup(Request[_LeaveGroupRequestV3]):
    API_KEY = 13

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[_LeaveGroupRequestV3]) -> _LeaveGroupRequestV3:
        return request_struct_class(*self._fields)


class _StaticCoordinator(GroupCoordinator):
    """aiokafka's coordinator, with the instance id in all requests."""

    ids: MemberIds
    connection: Any = None
    replaced = False
    stays = False
    protocols: Sequence[str] = ()
    """The names under which this member offers its protocol, the first choice first; empty for its own name."""

    async def _send_req(self, request: Any) -> Any:
        """Send a request; once the broker has reported a replacement, send nothing and raise ReplacedError."""
        if not self.replaced:
            member = self.member_id
            answer = await super()._send_req(self._signed(request))
            self._note(request, member, answer)
            if FENCED_INSTANCE not in _codes(answer):
                return answer
            if self.ids.may_be_forgotten(member):
                return _of_unknown_member(answer)
            self.replaced = True
        raise ReplacedError(self.group_id, self._group_instance_id)

    def _note(self, request: Any, member: str, answer: Any) -> None:
        """Note what an answer says about the coordinator, and about the id of this member."""
        connection = self._client._conns.get((self.coordinator_id, ConnectionGroup.COORDINATION))
        if connection is not self.connection or _codes(answer) & {_LOADING, _UNAVAILABLE, _MOVED}:
            self.connection = connection
            self.ids.coordinator_lost()
        if isinstance(request, JoinGroupRequest) and not answer.error_code and answer.member_id != member:
            self.ids.given()
        if isinstance(request, SyncGroupRequest):
            if not answer.error_code:
                self.ids.kept(member)
            elif answer.error_code == _LOADING:
                # The rebalance was lost with the coordinator. aiokafka would fail; after this code, it joins again.
                answer.error_code = _REBALANCING

    def _signed(self, request: Any) -> Any:
        instance = self._group_instance_id
        if isinstance(request, HeartbeatRequest):
            return _Heartbeat(self.group_id, request._generation_id, request._member_id, instance)
        if isinstance(request, LeaveGroupRequest):
            return _LeaveGroup(self.group_id, [(request._member_id, instance)])
        if isinstance(request, OffsetCommitRequest):
            topics = [
                (topic, [(partition, offset, -1, metadata) for partition, offset, metadata in partitions])
                for topic, partitions in request._topics
            ]
            return _OffsetCommit(
                self.group_id, request._consumer_group_generation_id, request._consumer_id, instance, topics
            )
        if isinstance(request, JoinGroupRequest) and self.protocols:
            ((_, metadata),) = request._group_protocols
            request._group_protocols = [(name, metadata) for name in self.protocols]
        return request

    def _lookup_assignor(self, name: str) -> Any:
        """Return the assignor, under whichever of its names the group has chosen."""
        return self._assignors[0] if name in self.protocols else super()._lookup_assignor(name)

    def check_errors(self) -> None:
        """Check errors as aiokafka does, but do not try to join again after a replacement."""
        if self.replaced:
            raise ReplacedError(self.group_id, self._group_instance_id)
        super().check_errors()

    async def _on_join_complete(
        self, generation: int, member_id: str, protocol: str, member_assignment_bytes: bytes
    ) -> None:  # fmt: skip
        """Drop topics that this member no longer reads: it may get them when it returns, and aiokafka fails on them."""
        given = ConsumerProtocolMemberAssignment.decode(member_assignment_bytes)
        reads = self._subscription.subscription.topics
        known = [(topic, partitions) for topic, partitions in given.assignment if topic in reads]
        content = ConsumerProtocolMemberAssignment(given.version, known, given.user_data).encode()
        await super()._on_join_complete(generation, member_id, protocol, content)

    async def _maybe_leave_group(self) -> None:
        """Leave, so that others get the partitions at once, unless this worker is to come back."""
        if self.generation > 0 and not (self.stays and self._closing.done()):
            try:
                await self._send_req(LeaveGroupRequest(self.group_id, self.member_id))
            except KafkaError as error:
                log.info("this worker could not leave its group: %r", error)
        self.reset_generation()


def _of_unknown_member(answer: Any) -> Any:
    """Return an answer as for an unknown member: aiokafka then forgets the id, and joins again."""
    if isinstance(answer, _OffsetCommitResponseV7):
        answer.topics = [
            (topic, [(partition, _UNKNOWN_MEMBER if code == FENCED_INSTANCE else code) for partition, code in found])
            for topic, found in answer.topics
        ]
    else:
        answer.error_code = _UNKNOWN_MEMBER
    return answer


def _codes(answer: Any) -> set[int]:
    if isinstance(answer, _OffsetCommitResponseV7):
        return {code for _, partitions in answer.topics for _, code in partitions}
    return {getattr(answer, "error_code", 0)}


class StaticConsumer(BatchConsumer):
    """A consumer that its group knows by an instance id. With `stays`, stopping does not leave the group.

    It offers its protocol under the names `protocols`; the broker takes one that all members offer.
    """

    def __init__(self, *topics: str, stays: bool = False, protocols: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*topics, **options)
        self._stays = stays
        self._protocols = protocols

    async def start(self) -> None:
        await super().start()
        # aiokafka chooses the class. Nothing was sent yet: there are no topics before `subscribe`.
        self._coordinator.__class__ = _StaticCoordinator
        self._coordinator.ids = MemberIds()
        self._coordinator.stays = self._stays
        self._coordinator.protocols = self._protocols

    def stay(self) -> None:
        """Stay in the group when it stops."""
        self._stays = True
        if isinstance(self._coordinator, _StaticCoordinator):
            self._coordinator.stays = True

    def check_group(self) -> None:
        """Raise the error that keeps this member out of its group, if any; there is none before the start."""
        if isinstance(self._coordinator, _StaticCoordinator):
            self._coordinator.check_errors()
