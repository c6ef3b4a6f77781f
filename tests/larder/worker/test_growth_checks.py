"""Why a service cannot be scaled now: each reason, by values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from larder import Decision, EventTopic, OwnerTopic, Row, Service
from larder.declaring.generations import Generation
from larder.declaring.problems import Problem
from larder.group.peers import Peer
from larder.worker.growth_checks import problems


class Event(Row):
    id: str
    account: str


class Account(Row):
    account: str
    revision: int = 0


NOW = Generation(1, {"events": 4, "accounts": 4}, {"events": "id"})


def growth(wanted: int = 6, **others: Any) -> Generation:
    return msgspec.structs.replace(NOW, number=2, counts=dict.fromkeys(NOW.counts, wanted), native={}, **others)


def service(name: str = "bank") -> Service:
    found = Service(name)
    accounts = found.table(OwnerTopic("accounts", Account, key="account", revision="revision"))

    @found.decide(EventTopic("events", Event, key="account", owner="web"), state=accounts)
    def decide(event: Event, _: Account | None) -> Decision:
        return Decision(Account(account=event.account))

    return found


def found(
    new: Generation,
    *,
    name: str = "bank",
    placement: dict[str, Problem] | None = None,
    counts: dict[str, int] | None = None,
    peers: list[Peer] | None = None,
    guarantee: str = "exactly_once",
) -> str:
    declared = service(name)
    declared.generation = NOW
    options = SimpleNamespace(guarantee=guarantee)
    runtime: Any = SimpleNamespace(options=options, declared=service(name))
    plan: Any = SimpleNamespace(service=declared)
    placed = SimpleNamespace(problems=placement or {}, own=frozenset({"accounts"}))
    topics: Any = SimpleNamespace(placement=placed, partition_counts=counts or {})
    return "; ".join(problems(runtime, plan, topics, peers or [], new))


def test_a_service_whose_topics_are_as_they_were_can_be_scaled() -> None:
    assert found(growth()) == ""


@pytest.mark.parametrize("wanted", [0, 10_001])
def test_a_number_out_of_bounds_is_refused(wanted: int) -> None:
    assert f"requires between 1 and 10000 partitions; found {wanted}" in found(growth(wanted))


def test_the_number_that_a_service_has_is_refused_unless_a_topic_has_grown() -> None:
    assert "4 partitions already, and no topic that has grown" in found(growth(4))
    assert found(growth(4), placement={"events": Problem("topic events", "r", "f", "d")}) == ""


def test_a_copy_that_could_be_repeated_is_refused() -> None:
    assert '"at_least_once"; remove the setting' in found(growth(), guarantee="at_least_once")


def test_workers_of_an_older_version_are_named() -> None:
    older = [Peer("old", "", {}, {}), Peer("new", "", {}, {}, knows_growth=True)]
    assert "found old of an older version; update these workers first" in found(growth(), peers=older)


def test_a_state_that_somebody_has_grown_is_refused() -> None:
    assert "topic accounts" in found(growth(), placement={"accounts": Problem("topic accounts", "r", "f", "d")})


def test_a_table_with_reactions_that_somebody_has_grown_is_refused() -> None:
    grown = {"events": Problem("topic events", "r", "f", "d")}
    assert "rows that have moved, since events has grown" in found(growth(reacted=("events",)), placement=grown)


def test_rows_are_mirrored_only_from_a_multiple_of_their_former_partitions() -> None:
    filled = growth(filled={"customers": 4})
    assert "requires a multiple of 4 partitions" in found(filled, counts={"customers": 6})
    assert found(filled, counts={"customers": 8}) == ""


def test_a_name_that_would_be_too_long_for_a_topic_is_refused() -> None:
    assert "requires a name of at most 249 characters" in found(growth(), name="b" * 240)
