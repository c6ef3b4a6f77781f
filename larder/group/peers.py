"""The workers in the group of a service: their addresses, their partitions and their standbys.

Pure: it turns the broker's description of the members into values. `assignor` defines the members' metadata.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from larder.group.assignor import GROWING_VERSION, Given, MemberReport, decode_metadata

STABLE = "Stable"
"""The state of a group whose members have their assignment. In any other state the assignment is unknown."""


class Peer(NamedTuple):
    """A worker: its name, the address of its web port ("" if unknown), and its partitions by topic."""

    worker: str
    web: str
    partitions: Mapping[str, Sequence[int]]
    standby: Mapping[str, Sequence[int]]
    step: int = 0
    """The step of its service's growth by whose plan it works."""
    knows_growth: bool = False

    def processes(self, topic: str, partition: int) -> bool:
        """Return whether a partition is assigned to it."""
        return partition in self.partitions.get(topic, ())


class GroupMember(NamedTuple):
    """A member of a group, as the broker describes it."""

    client_id: str
    metadata: bytes
    assignment: bytes


def read_peers(service: str, members: Iterable[GroupMember]) -> list[Peer]:
    """Read the members' metadata and assignments; unreadable ones count as empty."""
    return sorted(_peer(service, member) for member in members)


def _peer(service: str, member: GroupMember) -> Peer:
    report, given, active = MemberReport(), Given(), dict[str, list[int]]()
    with contextlib.suppress(ValueError):
        if member.metadata:
            report = decode_metadata(ConsumerProtocolMemberMetadata.decode(member.metadata).user_data, MemberReport)
        if member.assignment:
            decoded = ConsumerProtocolMemberAssignment.decode(member.assignment)
            active = {topic: sorted(numbers) for topic, numbers in decoded.assignment}
            given = decode_metadata(decoded.user_data, Given)
    return Peer(
        member.client_id.removeprefix(f"{service}."), report.web, active, given.standby,
        report.step, report.version >= GROWING_VERSION,
    )  # fmt: skip
