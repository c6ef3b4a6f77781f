"""Who is in the group: what members told and were given, read from what the broker says of them."""

from __future__ import annotations

from types import SimpleNamespace

from aiokafka.cluster import ClusterMetadata

from larder.group.assignor import Assignor
from larder.group.peers import GroupMember, Peer, read_peers

TOPICS = {"orders", "customers"}


def _members(webs: dict[str, str]) -> list[GroupMember]:
    """Members as they describe themselves, with what their leader gave them."""
    cluster = ClusterMetadata()
    cluster.partitions_for_topic = lambda _: {0, 1, 2, 3}  # type: ignore[method-assign]
    assignors = {
        name: Assignor(SimpleNamespace(tables=None), dict, standby=True, web=web) for name, web in webs.items()
    }
    metadata = {name: each.metadata(TOPICS) for name, each in assignors.items()}
    given = next(iter(assignors.values())).assign(cluster, metadata)
    return [GroupMember(f"shipping.{name}", metadata[name].encode(), given[name].encode()) for name in webs]


def test_each_worker_is_known_with_its_address_what_it_processes_and_what_it_stands_by_for() -> None:
    one, two = read_peers("shipping", _members({"two": "http://b:2", "one": "http://a:1"}))
    assert (one.worker, one.web, two.worker, two.web) == ("one", "http://a:1", "two", "http://b:2")
    for topic in TOPICS:
        assert sorted([*one.partitions[topic], *two.partitions[topic]]) == [0, 1, 2, 3]
        assert (one.standby[topic], two.standby[topic]) == (two.partitions[topic], one.partitions[topic])


def test_what_another_version_tells_or_what_cannot_be_read_counts_as_nothing() -> None:
    (listed,) = _members({"one": "http://a:1"})
    (peer,) = read_peers("shipping", [listed._replace(metadata=b"", assignment=b"")])
    assert peer == Peer("one", "", {}, {})
    (peer,) = read_peers("shipping", [listed._replace(metadata=b"\x00", assignment=b"\x00\x01\x00")])
    assert peer == Peer("one", "", {}, {})
    (peer,) = read_peers("shipping", _members({"one": ""}))
    assert (peer.web, peer.partitions["orders"]) == ("", [0, 1, 2, 3])
