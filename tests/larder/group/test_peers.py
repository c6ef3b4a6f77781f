"""The members of a group: their reports and assignments, read from the broker's description of the group."""

from __future__ import annotations

from types import SimpleNamespace

from aiokafka.cluster import ClusterMetadata

from larder.group.assignor import Assignor
from larder.group.peers import GroupMember, Peer, read_peers

TOPICS = {"orders", "customers"}


def _members(webs: dict[str, str]) -> list[GroupMember]:
    """Members with their own descriptions and the assignments by their leader."""
    cluster = ClusterMetadata()
    cluster.partitions_for_topic = lambda _: {0, 1, 2, 3}  # type: ignore[method-assign]
    assignors = {
        name: Assignor(SimpleNamespace(tables=None), dict, standby=True, web=web) for name, web in webs.items()
    }
    metadata = {name: each.metadata(TOPICS) for name, each in assignors.items()}
    given = next(iter(assignors.values())).assign(cluster, metadata)
    return [GroupMember(f"shipping.{name}", metadata[name].encode(), given[name].encode()) for name in webs]


def test_each_peer_has_its_address_its_partitions_and_its_standbys() -> None:
    one, two = read_peers("shipping", _members({"two": "http://b:2", "one": "http://a:1"}))
    assert (one.worker, one.web, two.worker, two.web) == ("one", "http://a:1", "two", "http://b:2")
    for topic in TOPICS:
        assert sorted([*one.partitions[topic], *two.partitions[topic]]) == [0, 1, 2, 3]
        assert (one.standby[topic], two.standby[topic]) == (two.partitions[topic], one.partitions[topic])


def test_unreadable_metadata_of_a_member_counts_as_empty() -> None:
    (listed,) = _members({"one": "http://a:1"})
    (peer,) = read_peers("shipping", [listed._replace(metadata=b"", assignment=b"")])
    assert peer == Peer("one", "", {}, {})
    (peer,) = read_peers("shipping", [listed._replace(metadata=b"\x00", assignment=b"\x00\x01\x00")])
    assert peer == Peer("one", "", {}, {})
    (peer,) = read_peers("shipping", _members({"one": ""}))
    assert (peer.web, peer.partitions["orders"]) == ("", [0, 1, 2, 3])
