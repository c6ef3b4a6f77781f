"""Other Kafka clients in the group of a service; the broker admits members of only one protocol."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from larder.declaring.problems import LarderError, Problem


def is_worker_of(service: str, client_id: str) -> bool:
    """Return whether a member is a worker of the service, by the client id that workers use."""
    return client_id.startswith(f"{service}.")


class GroupMembers(NamedTuple):
    """The members of the group of a service: its workers by client id, and all others by client id with host."""

    workers: tuple[str, ...]
    foreign: tuple[str, ...]


class ForeignMembersError(LarderError):
    """The group has members that are not workers of this service; `members` are their client ids and hosts."""

    def __init__(self, group: str, members: Collection[str]) -> None:
        super().__init__(
            str(Problem(
                f"group {group}",
                "requires workers of the service of that name, and no other Kafka client",
                f"other members: {', '.join(members) or 'none any more'}",
                "stop them, or give them another group, and start this worker again",
            ))
        )  # fmt: skip
