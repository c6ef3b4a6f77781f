"""Why a partition may stall, as the engine reports it: with real tables and a fake group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from larder.assembly.uneven import being_scaled
from larder.declaring.problems import Problem
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.store import Table
from larder.worker.input_offsets import Unacknowledged
from larder.worker.vitals import FAILING_SECONDS, PartitionUse, Standing, vitals
from tests.larder.store.samples import Sent, customers, plain, plains, row, small_memory

NOW = 1_000.0
INPUT = TopicPartition("orders", 1)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[dict[str, LocalTable]]:
    """Open a global table, and partition 1 of a co-partitioned one."""
    held = {
        topic.name: LocalTable(Table(topic, tmp_path, small_memory(), how, lambda: NOW), TableRole(), 6.0, lambda: NOW)
        for topic, how in ((customers, "global"), (plains, "partition"))  # type: ignore[list-item]
    }
    held[customers.name].open([0])
    held[plains.name].open([1])
    yield held
    for each in held.values():
        each.close()


def member(**changed: Any) -> Any:
    """A `Membership` with one assigned input partition."""
    states = changed.pop("states", [])
    processing = SimpleNamespace(assigned=[INPUT, TopicPartition(plains.name, 1)], held_back=changed.pop("held", list))
    inputs = SimpleNamespace(
        positions={INPUT: 3}, ends={INPUT: 9}, highs={INPUT: 12}, unacknowledged=changed.pop("unacknowledged", None)
    )
    shown = {
        "joined": True, "inputs": inputs, "processing": processing,
        "assignments": SimpleNamespace(held_back=changed.pop("held_back", {}), calls=changed.pop("calls", {})),
        "plan": SimpleNamespace(inputs={"orders": None}, needed_whole=lambda _: states, tables_of=lambda _: ()),
    }  # fmt: skip
    return SimpleNamespace(**{**shown, **changed})


def standing(tables: dict[str, LocalTable], membership: Any) -> dict[str, Standing]:
    seen = vitals("running", tables, membership, NOW, answers=True, waiting={}, asked=[*tables.values()])
    return {each.place.topic: each for each in seen.partitions}


def test_partitions_report_their_positions_without_an_excuse(tables: dict[str, LocalTable]) -> None:
    tables[customers.name].apply(0, [row(4, "ada", 1)], 5)
    tables[customers.name].observe_end(0, ObservedEnd(7, NOW))
    found = standing(tables, member())
    assert found["orders"][1:] == (3, 9, None, 12)
    assert found[customers.name][1:] == (5, 7, None, 0)
    assert found[plains.name][1:] == (0, None, None, 0)


def test_a_held_back_input_names_the_tables_it_waits_for(tables: dict[str, LocalTable]) -> None:
    found = standing(tables, member(held=lambda: [INPUT]))
    assert found["orders"].excuse == ("held back until its tables have caught up (shop.customers, shop.plains)")
    assert found[plains.name].excuse is None, "the table is judged by itself"
    problem = Problem("topic orders", "requires 4 partitions", "8", "create it again")
    found = standing(tables, member(held_back={INPUT: problem}))
    assert found["orders"].excuse == "held back: topic orders: requires 4 partitions; found 8; create it again"


def test_events_are_excused_while_as_many_calls_wait_as_may(tables: dict[str, LocalTable]) -> None:
    full = True
    of_input = SimpleNamespace(events=INPUT, at_most=lambda: full)
    calls = {("charge", INPUT): of_input, ("charge", TopicPartition("outcomes", 1)): of_input}
    assert standing(tables, member(calls=calls))["orders"].excuse == ("as many calls of charge wait as at_most allows")
    full = False
    assert standing(tables, member(calls=calls))["orders"].excuse is None


def test_inputs_are_excused_while_the_service_is_being_scaled_also_where_they_are_read_as_tables(
    tables: dict[str, LocalTable],
) -> None:
    both = TopicPartition(plains.name, 1)
    problem = being_scaled("shipping", 6)
    found = standing(tables, member(held_back={INPUT: problem, both: problem}))
    assert found["orders"].excuse == found[plains.name].excuse == f"held back: {problem}"
    assert "processes no records while it is being scaled" in str(found["orders"].excuse)
    assert found[customers.name].excuse is None


def test_only_tables_from_which_lookups_are_answered_have_to_be_caught_up(tables: dict[str, LocalTable]) -> None:
    seen = vitals("running", tables, member(), NOW, answers=True, waiting={}, asked=[tables[customers.name]])
    assert seen.tables == {customers.name: False}
    assert {each.place.topic for each in seen.partitions} >= {customers.name, plains.name}


def test_an_added_partition_reports_that_it_is_held_back(tables: dict[str, LocalTable]) -> None:
    tables[plains.name].partition_count = 1
    assert standing(tables, member())[plains.name].excuse == (
        "held back: the partition was added, and rows are placed by the previous partition count"
    )


def test_a_held_back_input_names_the_unreadable_rows_of_its_state(tables: dict[str, LocalTable]) -> None:
    held = {"held": lambda: [INPUT], "states": [plains.name]}
    tables[plains.name].role = TableRole(decided_on=True)
    tables[plains.name].apply(1, [Sent(4, b"ada", b"{}")], 5)
    excuse = standing(tables, member(**held))["orders"].excuse
    assert excuse is not None
    assert excuse.startswith("held back: state shop.plains, partition 1: ")
    assert "under 1 of its keys, for instance ada at offset 4: the value requires" in excuse
    tables[plains.name].apply(1, [plain(5, "ada", "a")], 6)
    assert "cannot be read" not in str(standing(tables, member(**held))["orders"].excuse)


def test_failed_outputs_excuse_the_groups_partitions_for_a_while(tables: dict[str, LocalTable]) -> None:
    found = standing(tables, member(unacknowledged=Unacknowledged(NOW - 5, "KafkaTimeoutError()")))
    assert found["orders"].excuse == "outputs were not acknowledged 5 s ago and are being retried: KafkaTimeoutError()"
    assert found[plains.name].excuse == found["orders"].excuse
    assert found[customers.name].excuse is None, "it is followed outside the group"
    before = Unacknowledged(NOW - FAILING_SECONDS - 1, "KafkaTimeoutError()")
    assert standing(tables, member(unacknowledged=before))["orders"].excuse is None


def test_a_partition_names_what_it_waits_for_unless_it_is_held_back(
    tables: dict[str, LocalTable],
) -> None:
    problem = Problem("topic orders, partition 1", "requires that it ends", "it is open: billing", "end it")
    waiting = {PartitionUse("input", *INPUT): problem}
    for excuse, membership in ((f"waits: {problem}", member()), ("held back until", member(held=lambda: [INPUT]))):
        seen = vitals("running", tables, membership, NOW, answers=True, waiting=waiting, asked=[*tables.values()])
        assert [each.excuse for each in seen.partitions if each.place.topic != "orders"] == [None, None]
        (found,) = (each.excuse for each in seen.partitions if each.place.topic == "orders")
        assert str(found).startswith(excuse)


def test_a_table_is_caught_up_if_other_workers_have_all_its_partitions(tables: dict[str, LocalTable]) -> None:
    assert vitals("running", tables, member(), NOW, answers=True, waiting={}, asked=[*tables.values()]).tables == {
        customers.name: False,
        plains.name: False,
    }
    tables[plains.name].close()
    assert vitals("running", tables, member(), NOW, answers=True, waiting={}, asked=[*tables.values()]).tables[
        plains.name
    ]
    assert not vitals(
        "running", tables, member(joined=False), NOW, answers=True, waiting={}, asked=[*tables.values()]
    ).tables[plains.name]
    assert not vitals("running", tables, None, NOW, answers=True, waiting={}, asked=[*tables.values()]).tables[
        plains.name
    ]


def test_a_service_without_a_group_has_joined_once_it_runs(tables: dict[str, LocalTable]) -> None:
    assert not vitals("recovering", tables, None, NOW, answers=True, waiting={}, asked=[*tables.values()]).joined
    assert vitals("running", tables, None, NOW, answers=False, waiting={}, asked=[*tables.values()]).joined
    assert not vitals(
        "running", tables, member(joined=False), NOW, answers=True, waiting={}, asked=[*tables.values()]
    ).joined
