"""Numbers of partitions: existing topics decide before defaults, and partners have equal numbers."""

# ruff: noqa: ARG005 - a fold takes its event and its row, whether it uses them or not
from typing import Any

from larder import EventTopic, OwnerTopic, Row, Service
from larder.declaring.checks.declarations import Facts, TopicFacts, problems
from larder.declaring.topology import TopicUse, topics_of


class Flight(Row):
    dest: str


class Counted(Row):
    dest: str
    revision: int = 0


class Seen(Flight):
    counted: Counted | None


def flights(partitions: int | None = None, name: str = "air.flights") -> EventTopic:
    return EventTopic(name, Flight, key="dest", owner="elsewhere", partitions=partitions)


def counted(partitions: int | None = None) -> OwnerTopic:
    return OwnerTopic("air.counted", Counted, key="dest", revision="revision", partitions=partitions)


def folded(state: OwnerTopic, *sources: Any) -> Service:
    service = Service("s")
    service.fold(sources, state=service.table(state))(lambda event, row: Counted(dest="XNA"))
    return service


def has(partitions: int, policy: str = "delete") -> TopicFacts:
    return TopicFacts(partitions, policy, 1_000_000, "id")


def said(service: Service, facts: Facts | None = None) -> str:
    return "\n".join(map(str, problems([service], facts)))


def use(service: Service, name: str, facts: Facts | None = None) -> TopicUse:
    return {each.name: each for each in topics_of(service, facts)}[name]


def test_a_new_state_takes_the_partitions_of_its_source() -> None:
    service = folded(counted(), flights())
    found = {"air.flights": has(2)}
    assert said(service, found) == ""
    assert use(service, "air.counted", found).partitions == 2


def test_a_declared_number_is_not_compared_with_the_default_of_a_partner() -> None:
    service = folded(counted(2), flights())
    assert said(service) == said(service, {"air.flights": has(2)}) == ""
    assert use(service, "air.counted").partitions == 2
    assert said(folded(counted(), flights(2))) == ""


def test_a_declared_number_may_differ_from_that_of_the_partner() -> None:
    service = folded(counted(4), flights())
    found = {"air.flights": has(2)}
    assert said(service, found) == ""
    assert use(service, "air.counted", found).partitions == 4


def test_what_exists_counts_before_what_is_declared() -> None:
    service = folded(counted(4), flights())
    assert said(service, {"air.flights": has(2), "air.counted": has(2, "compact")}) == ""


def test_a_new_table_takes_the_partitions_of_an_existing_internal_topic() -> None:
    service = folded(counted(), flights().by("dest"))
    found = {"air.flights": has(2), "s.air.flights.by.dest": has(6)}
    assert said(service, found) == ""
    assert use(service, "air.counted", found).partitions == 6


def test_a_result_that_is_joined_again_takes_its_next_partners_partitions() -> None:
    service = Service("s")
    into, again = (EventTopic(name, Seen, key="dest", owner="s") for name in ("air.seen", "air.again"))
    service.join(flights().by("dest"), service.global_table(counted()).on("dest"), into=into)
    other = service.table(OwnerTopic("air.others", Counted, key="dest", owner="elsewhere"))
    service.join(into, other.on("dest", embed="other"), into=again)
    found = {"air.others": has(3, "compact")}
    assert use(service, "air.seen", found).partitions == 3
    assert use(service, "air.again", found).partitions == 4


def test_a_topic_that_takes_its_partitions_from_a_missing_one_waits_for_it() -> None:
    assert use(folded(counted(), flights()), "air.counted").waits
    assert not use(folded(counted(2), flights()), "air.counted").waits
    assert not use(folded(counted(), flights(2)), "air.counted").waits
    assert not use(folded(counted(), flights()), "air.counted", {"air.flights": has(2)}).waits
    assert not use(folded(counted(), flights().by("dest")), "air.counted").waits
