"""Who is in the group of a service, where each answers, and what each processes and stands by for.

Pure: from what the broker says of the group's members to values. What members tell and were given is written and
read by `assignor`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from larder.group.assignor import Given, MemberReport, read_told

STABLE = "Stable"
"""The state of a group in which its members have what they were given; in any other state there is no news."""


class Peer(NamedTuple):
    """A worker: its name, the address of its web port ("" if it told none), and its partitions by topic."""

    worker: str
    web: str
    partitions: Mapping[str, Sequence[int]]
    standby: Mapping[str, Sequence[int]]

    def processes(self, topic: str, partition: int) -> bool:
        """Whether a partition was given to it."""
        return partition in self.partitions.get(topic, ())


class GroupMember(NamedTuple):
    """A member of a group, as the broker describes it."""

    client_id: str
    metadata: bytes
    assignment: bytes


def read_peers(service: str, members: Iterable[GroupMember]) -> list[Peer]:
    """Read what members told and were given; what cannot be read counts as nothing told or given."""
    return sorted(_peer(service, member) for member in members)


def _peer(service: str, member: GroupMember) -> Peer:
    told, given, active = MemberReport(), Given(), dict[str, list[int]]()
    with contextlib.suppress(ValueError):
        if member.metadata:
            told = read_told(ConsumerProtocolMemberMetadata.decode(member.metadata).user_data, MemberReport)
        if member.assignment:
            decoded = ConsumerProtocolMemberAssignment.decode(member.assignment)
            active = {topic: sorted(numbers) for topic, numbers in decoded.assignment}
            given = read_told(decoded.user_data, Given)
    return Peer(member.client_id.removeprefix(f"{service}."), told.web, active, given.standby)
