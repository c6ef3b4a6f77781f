"""Claims to topics: records of one small compacted topic.

The first valid claim to a topic decides its owner. Each claim has its own key. So compaction, which keeps the last
record of each key, neither removes a claim nor changes which one came first. A record without a value withdraws the
claim with its key. Pure: bytes and values in and out.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from larder.declaring.problems import Problem

OWNERS: Final = "larder.owners"
"""The topic of all claims in a cluster."""


class Claim(msgspec.Struct, frozen=True):
    """A service's claim to be the only writer of a topic.

    It applies to the name of the topic; topic_id and since (UTC, ISO 8601) are for people.
    """

    topic: str
    service: str
    topic_id: str
    since: str

    def key(self, nonce: str) -> bytes:
        """Return a key, which is unique if `nonce` is; names in Kafka have no spaces."""
        return f"{self.topic} {self.service} {nonce}".encode()

    def value(self) -> bytes:
        """Encode the claim."""
        return msgspec.json.encode(self)


def read_claim(value: bytes) -> Claim | None:
    """Decode a claim; return None for any other value."""
    try:
        return msgspec.json.decode(value, type=Claim)
    except (msgspec.MsgspecError, RecursionError):
        return None


def standing(records: Iterable[tuple[bytes, Claim | None]]) -> dict[bytes, Claim]:
    """Return the claims that were not withdrawn, by key, in the order in which they were made.

    `records` are in the order of their offsets; None withdraws the claim with its key.
    """
    found: dict[bytes, Claim] = {}
    for key, claim in records:
        found.pop(key, None)
        if claim is not None:
            found[key] = claim
    return found


def owners(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Return the first claim to each topic, which decides its owner."""
    first: dict[str, Claim] = {}
    for claim in claims:
        first.setdefault(claim.topic, claim)
    return first


def ownership_problems(service: str, topics: Collection[str], owned: Mapping[str, Claim]) -> list[Problem]:
    """Find the topics that `service` declares as its own although another service owns them."""
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
