"""Who has claimed which topic: claims as records of one small compacted topic, and what they mean.

The first claim of a topic that still stands says who owns it. No record ever takes the place of another: each claim
has a key of its own, so that compaction, which keeps the last record of a key, can neither remove a claim nor change
which one came first. A record without a value takes the claim of its key back. Pure: bytes and values in and out.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from larder.declaring.problems import Problem

OWNERS: Final = "larder.owners"
"""The topic of all claims in a cluster."""


class Claim(msgspec.Struct, frozen=True):
    """That a service is the only one that writes a topic.

    topic_id and since (UTC, ISO 8601) are for the one who reads it: a claim holds for the name of the topic.
    """

    topic: str
    service: str
    topic_id: str
    since: str

    def key(self, nonce: str) -> bytes:
        """Give a key that no other claim has, if `nonce` is new; Kafka's names have no spaces."""
        return f"{self.topic} {self.service} {nonce}".encode()

    def value(self) -> bytes:
        """Give the record's value."""
        return msgspec.json.encode(self)


def read_claim(value: bytes) -> Claim | None:
    """Read a record's value; None if it is no claim."""
    try:
        return msgspec.json.decode(value, type=Claim)
    except (msgspec.MsgspecError, RecursionError):
        return None


def standing(records: Iterable[tuple[bytes, Claim | None]]) -> dict[bytes, Claim]:
    """Give the claims that were not taken back, by their keys, in the order in which they were made.

    `records` in the order of their offsets; None takes back what its key had.
    """
    found: dict[bytes, Claim] = {}
    for key, claim in records:
        found.pop(key, None)
        if claim is not None:
            found[key] = claim
    return found


def owners(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Give the claim that counts, by topic: the first one."""
    first: dict[str, Claim] = {}
    for claim in claims:
        first.setdefault(claim.topic, claim)
    return first


def ownership_problems(service: str, topics: Collection[str], owned: Mapping[str, Claim]) -> list[Problem]:
    """Tell of each of `topics`, which `service` declares to be its own, that is another's."""
    return [
        Problem(
            f"service {service}, owner of {name}",
            "a topic requires one owner, the only service that writes it",
            f"{owned[name].service}, which has claimed it since {owned[name].since}",
            f"give {service} a topic of its own; or, if {owned[name].service} writes it no more,"
            f" let go of its claim: larder topics --release {name}",
        )
        for name in topics
        if name in owned and owned[name].service != service
    ]
