"""The topics by whose partition counts a service places records, and the problems of those that have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from larder import DeadLetter, Decision, EventTopic, OwnerTopic, Row, Service, Wait, Wake
from larder.assembly.memo import Memo
from larder.assembly.placement import Placement, changed, first_read, placed_by
from larder.assembly.plan import ServicePlan, plan
from larder.declaring.facts import TopicFacts
from larder.declaring.generations import Generation
from larder.declaring.partition_counts import partitions as known
from larder.declaring.topology import topics_of
from larder.kafka.topic_metadata import Described


class Customer(Row):
    customer_id: str
    revision: int = 0


class Order(Row):
    order_id: str
    customer_id: str
    revision: int = 0


class Joined(Order):
    customer: Customer | None


customers = OwnerTopic("customers", Customer, key="customer_id", revision="revision", owner="crm")
levels = OwnerTopic("levels", Customer, key="customer_id", revision="revision", owner="s")
orders = EventTopic("orders", Order, key="order_id", owner="checkout")
calls = EventTopic("calls", Order, key="customer_id", owner="checkout")
carts = OwnerTopic("carts", Order, key="order_id", revision="revision", owner="checkout")
joined = EventTopic("joined", Joined, key="order_id")
current = OwnerTopic("current", Joined, key="order_id", revision="revision", owner="s")
WAIT = Wait(seconds=60).then(DeadLetter)


def planned(service: Service) -> ServicePlan:
    names = {use.name for use in topics_of(service, {})} | {"customers", "orders", "calls", "carts", "levels"}
    return plan(service, {name: TopicFacts(4, "delete", 1_000_000, f"id-{name}") for name in names})


def depend(service: Service) -> dict[str, frozenset[str]]:
    """Return the topics that each input depends on; replays depend on those of their input."""
    planned_ = planned(service)
    found = dict(placed_by(planned_))
    for name, each in planned_.inputs.items():
        if each.replays is not None:
            assert found.pop(name, None) == found.get(each.replays)
    return found


def native() -> Service:
    service = Service("s")
    service.join(calls, service.table(customers), into=joined, missing=DeadLetter)
    return service


def test_equal_partition_counts_of_the_same_topics_are_no_change() -> None:
    before = {"a": Described("id-a", 4)}
    assert changed(before, {"a": Described("id-a", 4), "b": Described("id-b", 8)}) == {}
    assert changed(before, {}) == {}, "a missing topic may come back"


@pytest.mark.parametrize("now", [3, 8])
def test_a_new_partition_count_of_the_same_topic_is_a_change(now: int) -> None:
    assert changed({"a": Described("id-a", 4)}, {"a": Described("id-a", now)}) == {"a": 4}


def test_a_recreated_topic_counts_as_first_read() -> None:
    before, now = {"a": Described("id-a", 4)}, {"a": Described("id-a2", 8)}
    assert first_read(before, now) == now
    assert first_read(before, {"a": Described("id-a", 8)}) == {}, "the previous count stays"


def test_a_native_join_by_partition_depends_on_its_source_and_its_table() -> None:
    assert depend(native()) == {"calls": {"calls", "customers"}}


def test_a_rekeyed_join_by_partition_depends_on_the_rekeyed_topic_not_on_its_source() -> None:
    service = Service("s")
    service.join(orders.by("customer_id"), service.table(customers), into=joined, missing=WAIT)
    rekeyed = orders.by("customer_id").name_in("s")
    assert depend(service) == {
        "orders": {rekeyed},
        rekeyed: {rekeyed, "customers", "s.joined.waiting"},
    }


def test_a_join_with_a_global_table_depends_on_no_partition_count() -> None:
    service = Service("s")
    service.join(orders, service.global_table(customers).on("customer_id"), into=joined, missing=WAIT)
    assert depend(service) == {}


def test_waiting_rows_depend_on_their_topic_so_that_newer_revisions_meet_them() -> None:
    service = Service("s")
    service.join(carts, service.global_table(customers).on("customer_id"), into=joined, missing=WAIT)
    assert depend(service) == {"carts": {"carts", "s.joined.waiting"}}


def test_rekeyed_rows_depend_on_their_source_and_every_topic_on_their_way() -> None:
    service = Service("s")
    service.join(carts.by("customer_id"), service.table(customers), into=current, missing=DeadLetter)
    rekeyed = carts.by("customer_id").name_in("s")
    assert depend(service) == {
        "carts": {"carts", rekeyed, f"{rekeyed}.keys"},
        rekeyed: {rekeyed, "customers", "s.current.joined"},
        "s.current.joined": {"s.current.joined", "current"},
    }


def test_a_decide_depends_on_its_inputs_its_state_and_its_wake_ups() -> None:
    service = Service("s")
    state = service.table(levels)

    @service.decide([orders.by("customer_id"), calls], state=state, into=[])
    def count(event: Order, level: Customer | None) -> Decision:
        del level
        return Decision(wake=Wake(event.customer_id, None))

    rekeyed = orders.by("customer_id").name_in("s")
    placed = placed_by(planned(service))
    assert placed["orders"] == {rekeyed}
    assert {rekeyed, "levels"} <= placed[rekeyed]
    assert {"calls", "levels"} <= placed["calls"]


def test_an_input_whose_topic_grew_between_runs_is_held_back_and_rows_stay_placed(tmp_path: Path) -> None:
    memo = tmp_path / "worker.json"
    first = Placement(planned(native()), Memo(memo))
    first.note({"calls": Described("id-c", 4), "customers": Described("id-r", 4)})
    assert (first.problems, first.problem_of("calls")) == ({}, None)
    second = Placement(planned(native()), Memo(memo))
    grown = {"calls": Described("id-c", 8), "customers": Described("id-r", 8)}
    assert second.is_news(grown)
    second.note(grown)
    assert not second.is_news(grown)
    assert second.problems.keys() == {"calls", "customers"}
    assert second.partitions("customers", 8) == 4
    assert str(second.problem_of("calls")) == (
        "topic calls: requires the 4 partitions that it had when this worker first read it: the service places"
        " records by that count; found 8; run larder scale s --partitions 8 to let the service place records by"
        " itself; or create calls again with 4 partitions, and rewrite its records; until then input calls is held"
        " back, but reads continue"
    )
    assert not second.is_news({}), "a topic that the broker does not name stays as it was"
    second.note({"calls": Described("id-c2", 4), "customers": Described("id-r2", 4)})
    assert (second.problems, second.problem_of("calls")) == ({}, None)
    assert second.partitions("customers", 4) == 4


def test_a_topic_recreated_with_another_count_is_used_from_the_next_start(tmp_path: Path) -> None:
    memo = tmp_path / "worker.json"
    running = Placement(planned(native()), Memo(memo))
    running.note({"calls": Described("id-c", 4), "customers": Described("id-r", 4)})
    again = {"calls": Described("id-c2", 8), "customers": Described("id-r2", 8)}
    assert running.is_news(again)
    running.note(again)
    assert running.problems.keys() == {"calls", "customers"}, "operators are built for four"
    assert running.partitions("customers", 8) == 4
    assert (
        "it is another topic now: restart the workers to continue with its partition count"
        in running.problems["calls"].do
    )
    restarted = Placement(planned(native()), Memo(memo))
    restarted.note(again)
    assert (restarted.problems, restarted.partitions("customers", 8)) == ({}, 8)


def test_a_worker_without_a_memo_adopts_the_counts_that_its_group_committed(tmp_path: Path) -> None:
    memo = tmp_path / "worker.json"
    new = Placement(planned(native()), Memo(memo))
    found = {"calls": Described("id-c", 8), "customers": Described("id-r", 8)}
    new.note(found)
    assert not new.adopt_committed({"calls": Described("of another topic", 4)})
    assert not new.adopt_committed({"calls": Described("id-c", 8)})
    assert new.adopt_committed({"calls": Described("id-c", 4)})
    new.note(found)
    assert new.problems.keys() == {"calls", "customers"}, "and the topics joined with them"
    assert (new.number("calls", 8), new.number("customers", 8), new.number("other", 8)) == (4, 4, 0)


def test_no_problem_suggests_adding_partitions_to_a_topic_of_the_service(tmp_path: Path) -> None:
    service = Service("s")
    service.join(orders.by("customer_id"), service.table(customers), into=joined, missing=DeadLetter)
    rekeyed = orders.by("customer_id").name_in("s")
    placement = Placement(planned(service), Memo(tmp_path / "worker.json"))
    placement.note({rekeyed: Described("id", 4)})
    placement.note({rekeyed: Described("id", 8)})
    problem = placement.problems[rekeyed]
    assert problem.do == (
        f"add no partitions to a topic of the service; create {rekeyed} again with 4 partitions, and rewrite its"
        f" records; until then inputs orders, {rekeyed} are held back, but reads continue"
    )


def test_a_state_and_its_rekeyed_topic_get_the_same_count_whatever_the_source_has() -> None:
    service = Service("s")
    state = service.table(levels)

    @service.decide(orders.by("customer_id"), state=state, into=[])
    def count(event: Order, level: Customer | None) -> Decision:
        del event, level
        return Decision()

    facts = {"orders": TopicFacts(2, "delete", 1_000_000, "id")}
    assert known(service, levels, facts) == known(service, orders.by("customer_id"), facts)


def test_a_topic_that_the_service_reads_as_it_is_keeps_its_count_even_if_it_is_created_again(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "worker.json")
    memo.remember_generation(Generation(1, {"calls": 4, "customers": 4}, {"calls": "id-1", "customers": "id-2"}))
    placement = Placement(planned(native()), memo)
    placement.note({"calls": Described("id-1", 4), "customers": Described("id-2 again", 6)})
    problem = placement.problem_of("calls")
    assert problem is not None
    assert str(problem).startswith("topic customers: requires the 4 partitions")
    assert "restart" not in problem.do
    assert placement.partitions("customers", 6) == 4
