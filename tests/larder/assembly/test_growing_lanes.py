"""The lanes of a service that is being scaled: inputs are held back, except those of agents."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka.structs import TopicPartition

from larder.assembly.build import Assembly
from larder.assembly.context import Assignment
from larder.assembly.plan import GrowthPlan, InputPlan
from larder.counters.counts import Counts
from larder.delivery.carried import TRACE_ONLY
from larder.delivery.output import Output

ORDERS, VISITS = TopicPartition("orders", 0), TopicPartition("visits", 0)


def test_agents_go_on_and_all_other_inputs_say_why_they_do_not() -> None:
    agent: Any = SimpleNamespace(topic=SimpleNamespace(row=object))
    plan: Any = SimpleNamespace(
        service=SimpleNamespace(name="shipping"),
        growth=GrowthPlan(2, 6, {}, []),
        inputs={"orders": InputPlan(), "visits": InputPlan(agents=[agent])},
        partitioned={}, internal={}, decides=[], dead_letters=Output("letters", 1, 1), reactions={},
        carrying=lambda _: TRACE_ONLY,
    )  # fmt: skip
    fake: Any = SimpleNamespace()
    assembly = Assembly(
        Assignment(
            plan, frozenset({ORDERS, VISITS}), {}, Counts([]), {"visits": fake}, {}, 1, fake, lambda: 0, lambda: 0.0,
            fake, {},
        )
    )  # fmt: skip
    lanes = assembly.lanes()
    assert [lanes[ORDERS].held(), lanes[VISITS].held()] == [True, False]
    assert "processes no records while it is being scaled" in str(assembly.held_back[ORDERS])
    assert assembly.held_back.keys() == {ORDERS}, "an agent that hangs has no excuse"
