"""Runs in memory find a row only where a worker would: in the partition of the record."""

from collections.abc import Callable
from typing import Any

import pytest

from larder import Decision, EventTopic, OwnerTopic, PassOn, Row, Service, Wake
from larder.declaring.partitioning import partition_of
from larder.declaring.sources import events_of
from larder.testing import run_in_memory
from larder.types import Near, WakeUp
from tests.larder.declaring.test_decides import NOON


class Parcel(Row):
    parcel_id: str
    depot: str


class Depot(Row):
    depot: str
    parcels: int = 0
    revision: int = 0


class Placed(Parcel):
    depot_row: Depot | None = None


def named(wanted: int) -> str:
    """A depot whose key belongs to a partition."""
    return next(name for name in map(str, range(100)) if partition_of(name.encode(), 4) == wanted)


HERE, ELSEWHERE = named(0), named(1)
BESIDE = next(name for name in map(str, range(100)) if partition_of(name.encode(), 4) == 0 and name != HERE)
parcels = EventTopic("post.parcels", Parcel, key="depot")
by_number = EventTopic("post.numbered", Parcel, key="parcel_id")
depots = OwnerTopic("post.depots", Depot, key="depot", revision="revision", owner="post")
PARCEL = Parcel(parcel_id="p1", depot=HERE)


def decided(function: Callable[..., Any], source: Any = parcels, given: Any = PARCEL) -> Any:
    service = Service("post")
    held = service.table(depots)

    @service.decide(source, state=held)
    def decide(_event: Parcel | WakeUp, _row: Depot | None, near: Near) -> Decision:
        result: Decision = function(near, held)
        return result

    return run_in_memory(service, {events_of(source): [given]})


def causes(result: Any) -> list[str]:
    return [(dict(letter.headers)["larder.cause"] or b"").decode() for letter in result["post.dead-letters"]]


def put(key: str) -> Decision:
    return Decision(rows=Depot(depot=key))


@pytest.mark.parametrize("decision", [put(ELSEWHERE), Decision(wake=Wake(ELSEWHERE, NOON))])
def test_a_decide_in_memory_changes_and_wakes_no_row_of_another_partition(decision: Decision) -> None:
    result = decided(lambda _near, _held: decision)
    (cause,) = causes(result)
    assert f"keys of the event's own partition, 0; found '{ELSEWHERE}' of post.depots, which belongs to 1" in cause
    assert result["post.depots"] == []


def test_a_decide_in_memory_changes_rows_beside_its_own() -> None:
    result = decided(lambda _near, _held: put(BESIDE))
    assert [record.row.depot for record in result[depots]] == [BESIDE]


def test_a_decide_in_memory_reads_no_row_of_another_partition() -> None:
    (cause,) = causes(decided(lambda near, held: near.get(held, ELSEWHERE)))
    assert f"near reads rows of the event's own partition, 0; '{ELSEWHERE}' of post.depots is in 1 of 4" in cause
    assert causes(decided(lambda near, held: near.get(held, BESIDE))) == []


@pytest.mark.parametrize(("key", "cause"), [(ELSEWHERE, "own partition, 1; found"), (None, "no message key")])
def test_an_event_whose_message_key_belongs_to_another_partition_is_parked_in_memory(
    key: str | None, cause: str
) -> None:
    (found,) = causes(decided(lambda _near, _held: put(HERE), given=(key, PARCEL)))
    assert cause in found
    assert causes(decided(lambda _near, _held: put(HERE), by_number.by("depot"), (key, PARCEL))) == []


def test_one_partition_has_everything() -> None:
    one = {"partitions": 1, "key": "depot"}
    alone = OwnerTopic("post.depots", Depot, revision="revision", owner="post", **one)  # type: ignore[arg-type]
    topic = EventTopic("post.parcels", Parcel, **one)  # type: ignore[arg-type]
    service = Service("post")
    service.decide(topic, state=service.table(alone))(lambda _event, _row: put(ELSEWHERE))
    assert causes(run_in_memory(service, {topic: [(None, PARCEL)]})) == []


@pytest.mark.parametrize(("key", "found"), [(HERE, True), (BESIDE, True), (ELSEWHERE, False), (None, False)])
def test_a_join_in_memory_finds_rows_only_in_the_partition_of_the_record(key: str | None, *, found: bool) -> None:
    service = Service("post")
    placed = EventTopic("post.placed", Placed, key="parcel_id")
    service.join(parcels, service.table(depots).on("depot", "depot_row"), into=placed, missing=PassOn)
    result = run_in_memory(service, {depots: [Depot(depot=HERE)], parcels: [(key, PARCEL)]})
    assert [record.row.depot_row is not None for record in result[placed]] == ([True] if found else [])
    (cause,) = causes(result) or ("",)
    assert ("use .by on the input" in cause) != found
