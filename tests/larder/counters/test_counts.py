"""What operators count: in the form of their kind, or by outcome for a kind without one."""

from __future__ import annotations

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.counters.counts import Counts
from larder.counters.join_quality import QualityOfJoin
from larder.counters.operator_counts import ReactionCounts, Results
from larder.declaring.operators import Operator


class Customer(Row):
    customer_id: str


class Toy(Operator):
    kind = "toy"
    name = "one"


customers = OwnerTopic("customers", Customer, key="customer_id")
moves = EventTopic("moves", Customer, key="customer_id")


def test_a_kind_without_a_form_counts_records_by_outcome() -> None:
    toy = Toy()
    counts = Counts([toy])
    counts.of(toy, Results).update(copied=3, parked=1)
    ((operator, counted),) = counts.operators
    assert (operator, counted.as_dict(), counts.handled(toy)) == (toy, {"copied": 3, "parked": 1}, 4)


def test_reactions_to_the_same_table_are_counted_together() -> None:
    service = Service("crm")
    table = service.table(customers)
    one, two = service.on_change(table), service.on_change(table)
    counts = Counts(service.operators)
    counts.of(one, ReactionCounts).changes += 2
    assert (counts.handled(two), len(counts.operators)) == (2, 1)


def test_the_counts_of_another_kind_are_refused() -> None:
    toy = Toy()
    with pytest.raises(TypeError, match="toy:one counts Results, not QualityOfJoin"):
        Counts([toy]).of(toy, QualityOfJoin)
