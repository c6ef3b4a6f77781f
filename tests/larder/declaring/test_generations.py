"""Where a service processes its records: partition counts, native topics, and what passes through internal topics."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service
from larder.declaring.facts import TopicFacts, input_name
from larder.declaring.generations import Generation, completed, merged, placed, read_generation
from larder.declaring.operators import Role
from larder.declaring.partition_counts import components, partitions
from larder.declaring.problems import DeclarationError
from larder.declaring.topics import Partitioner
from larder.declaring.topology import topics_of
from larder.types import WakeUp


class Call(Row):
    key: str


class Customer(Row):
    key: str
    revision: int = 0


class Answered(Call):
    customer: Customer


def customers(partitioner: Partitioner = "murmur2") -> OwnerTopic:
    return OwnerTopic("customers", Customer, key="key", revision="revision", owner="crm", partitioner=partitioner)


def calls(name: str = "calls", partitioner: Partitioner = "murmur2") -> EventTopic:
    return EventTopic(name, Call, key="key", owner="desk", partitioner=partitioner)


def joining(
    partitions: int | None = None, *, source: EventTopic | None = None, table: OwnerTopic | None = None
) -> Service:
    service = Service("s", partitions=partitions)
    into = EventTopic("answered", Answered, key="key")
    service.join(source or calls(), service.table(table or customers()), into=into)
    return service


def folding(partitions: int | None = None) -> Service:
    service = Service("s", partitions=partitions)
    state = service.table(OwnerTopic("totals", Customer, key="key", revision="revision", owner="s"))
    service.fold([calls(), calls("mails")], state=state)(lambda event, row: Delete(event.key))  # noqa: ARG005
    return service


def facts(**counts: int) -> Mapping[str, TopicFacts]:
    return {name: TopicFacts(count, "compact", 1_000_000, f"id of {name}") for name, count in counts.items()}


def uses(service: Service, known: Mapping[str, TopicFacts]) -> dict[str, tuple[Role, int]]:
    """Return the first role and the partition count of each topic that is placed."""
    found = topics_of(placed(service, completed(service, known)), known)
    return {use.name: (use.roles[0], use.partitions) for use in found if Role.REPLAYS not in use.roles}


def test_topics_with_equal_counts_are_read_as_they_are() -> None:
    generation = completed(joining(), facts(calls=4, customers=4))
    assert generation.native == {"calls": "id of calls", "customers": "id of customers"}
    run = placed(joining(), generation)
    assert [use.read_from.name for use in run.tables] == ["customers"]
    assert [source.name for source in run.sources] == ["calls"]


def test_a_source_with_another_count_passes_through_the_count_of_its_table() -> None:
    found = uses(joining(), facts(calls=4, customers=6))
    assert found["s.calls.by.key"] == (Role.REKEYED, 6)
    assert found["calls"] == (Role.SOURCE, 4)
    assert "s.customers.mirror" not in found


def test_a_declared_count_makes_a_mirror_of_the_table() -> None:
    found = uses(joining(12), facts(calls=4, customers=6))
    assert found["s.calls.by.key"] == (Role.REKEYED, 12)
    assert found["s.customers.mirror"] == (Role.MIRROR, 12)
    assert found["s.growth"] == (Role.GROWTH, 1)


def test_topics_of_another_partitioner_never_count_as_native() -> None:
    service = joining(source=calls(partitioner="other"), table=customers("other"))
    found = uses(service, facts(calls=4, customers=4))
    assert found["s.calls.by.key"] == (Role.REKEYED, 4)
    assert found["s.customers.mirror"] == (Role.MIRROR, 4)


def test_a_state_with_another_count_keeps_its_rows_in_an_internal_topic() -> None:
    found = uses(folding(12), facts(calls=4, mails=6, totals=3))
    assert found["s.totals.rows"] == (Role.ROWS, 12)
    assert found["totals"] == (Role.TABLE, 3)
    assert uses(folding(12), facts(calls=4, mails=6))["totals"] == (Role.TABLE, 12)


def test_inputs_with_different_counts_meet_in_the_largest() -> None:
    found = uses(folding(), facts(calls=4, mails=6))
    assert (found["totals"], found["s.calls.by.key"]) == ((Role.TABLE, 6), (Role.REKEYED, 6))
    assert "s.mails.by.key" not in found


def test_a_join_with_global_tables_alone_is_not_placed() -> None:
    service = Service("s", partitions=12)
    use = service.global_table(customers())
    service.join(calls(), use.on("key"), into=EventTopic("answered", Answered, key="key"))
    assert completed(service, facts(calls=4, customers=6)) == Generation(1, {}, {})
    assert "s.growth" not in {each.name for each in topics_of(service)}


def test_what_is_settled_stays_when_a_topic_grows() -> None:
    known = completed(joining(), facts(calls=4, customers=4))
    assert completed(joining(), facts(calls=8, customers=8), known) == known
    assert completed(joining(12), facts(calls=4, customers=4), known) == known


def test_topics_that_had_grown_before_the_first_generation_stay_native() -> None:
    generation = completed(joining(), facts(calls=8, customers=8), history={"calls": 4})
    assert generation.counts == {"calls": 4, "customers": 4}
    assert set(generation.native) == {"calls", "customers"}


def test_a_topic_that_is_declared_later_takes_the_count_of_those_that_it_meets() -> None:
    before = folding()
    (fold,) = before.decides
    fold.inputs = fold.inputs[:1]
    known = completed(before, facts(calls=4, totals=4))
    after = folding()
    generation = completed(after, facts(calls=4, totals=4, mails=6), known)
    assert generation.counts["mails"] == 4
    assert "mails" not in generation.native


def test_known_topics_with_different_counts_that_meet_later_are_refused() -> None:
    known = Generation(1, {"calls": 4, "totals": 6}, {})
    with pytest.raises(DeclarationError, match="one number of partitions; found 4 for calls and 6 for totals"):
        completed(folding(), facts(calls=4, totals=6), known)


def test_the_first_record_that_names_a_topic_decides() -> None:
    first = Generation(1, {"a": 4, "b": 4}, {"a": "1"})
    second = Generation(1, {"b": 6, "c": 4}, {"b": "2", "c": "3"})
    assert merged([first, second]) == Generation(1, {"a": 4, "b": 4, "c": 4}, {"a": "1", "c": "3"})
    assert merged([]) is None
    assert read_generation(first.encode()) == first
    assert read_generation(b"{}") is read_generation(b"[") is None


@given(
    own=st.none() | st.integers(1, 12),
    counts=st.fixed_dictionaries({}, optional=dict.fromkeys(("calls", "mails", "totals"), st.integers(1, 12))),
)
def test_whatever_meets_has_one_count(own: int | None, counts: dict[str, int]) -> None:
    service, known = folding(own), facts(**counts)
    run = placed(service, completed(service, known))
    for members in components(run):
        found = {
            partitions(run, member, known)
            for member in members
            if input_name(run, member) not in {use.name for use in run.tables if use.build is not None}
        }
        found |= {each.partitions for each in topics_of(run, known) if Role.ROWS in each.roles}
        assert len(found) == 1
        assert own is None or found == {own}


@given(
    st.permutations([Generation(1, {"a": 4}, {}), Generation(1, {"a": 6, "b": 6}, {"b": "1"}), Generation(1, {}, {})])
)
def test_workers_that_read_the_same_records_agree(records: list[Generation]) -> None:
    whole = merged(records)
    assert whole is not None
    for again in permutations(records):
        assert merged([whole, *again]) == whole


def test_wake_ups_are_kept_where_the_rows_are() -> None:
    service = Service("s", partitions=12)
    state = service.table(OwnerTopic("totals", Customer, key="key", revision="revision", owner="s"))

    @service.decide(calls(), state=state)
    def decide(event: Call | WakeUp, row: Customer | None) -> Decision | None:
        return Decision() if event and row else None

    found = uses(service, facts(calls=4, totals=3))
    assert found["s.totals.rows"] == (Role.ROWS, 12)
    assert found["s.totals.wake-ups"] == (Role.WAKE_UPS, 12)
