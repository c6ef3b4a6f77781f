"""The state of a partition: read, awaited, observed."""

import asyncio

import pytest

from larder.store import Phase, State, Table, progress


@pytest.fixture
def state() -> State:
    return State("shop.customers", 3)


def test_a_new_partition_is_starting_without_lag_and_freshness(state: State) -> None:
    assert state.phase is Phase.STARTING
    assert state.lag is None
    assert state.freshness(10.0) is None


def test_phases_are_ordered() -> None:
    assert Phase.STARTING < Phase.DISCONNECTED < Phase.RECOVERING < Phase.CAUGHT_UP < Phase.STANDBY


def test_a_partition_recovers_until_it_reaches_the_measured_end(state: State) -> None:
    state.observe(100, 1.0)
    assert state.phase is Phase.RECOVERING
    state.applied(99, 10)
    assert state.phase is Phase.RECOVERING
    assert state.lag == 1
    state.applied(100, 1)
    assert state.phase is Phase.CAUGHT_UP
    assert state.lag == 0


def test_an_empty_topic_is_caught_up_at_once(state: State) -> None:
    state.observe(0, 1.0)
    assert state.phase is Phase.CAUGHT_UP


def test_the_position_counts_rather_than_the_number_of_records(state: State) -> None:
    state.observe(100, 1.0)
    state.applied(100, 1)
    assert state.phase is Phase.CAUGHT_UP


def test_steady_traffic_is_lag_and_no_recovery(state: State) -> None:
    state.observe(0, 1.0)
    state.observe(50, 2.0)
    assert state.phase is Phase.CAUGHT_UP
    assert state.lag == 50


def test_being_caught_up_is_measured_again_at_an_assignment(state: State) -> None:
    state.observe(0, 1.0)
    state.remeasure()
    assert state.phase is Phase.STARTING
    state.observe(50, 2.0)
    assert state.phase is Phase.RECOVERING


def test_without_a_broker_a_partition_is_disconnected_until_the_next_end(state: State) -> None:
    state.observe(0, 1.0)
    state.disconnect()
    assert state.phase is Phase.DISCONNECTED
    assert state.lag is None
    assert state.freshness(31.0) == 30.0
    state.observe(0, 40.0)
    assert state.phase is Phase.CAUGHT_UP


def test_freshness_is_the_time_since_a_fetched_end_was_reached(state: State) -> None:
    state.observe(10, 1.0)
    state.observe(20, 2.0)
    state.observe(30, 3.0)
    state.applied(9, 9)
    assert state.freshness(10.0) is None
    state.applied(25, 16)
    assert state.freshness(10.0) == 8.0
    state.applied(30, 5)
    assert state.freshness(10.0) == 7.0


def test_freshness_of_an_idle_topic_grows_only_until_its_end_is_fetched_again(state: State) -> None:
    state.observe(0, 1.0)
    assert state.freshness(100_000.0) == 99_999.0
    state.observe(0, 100_000.0)
    assert state.freshness(100_000.0) == 0.0


def test_under_a_constant_lag_freshness_still_advances(state: State) -> None:
    for second in range(1_000):
        state.observe(second * 10, float(second))
        state.applied(max(0, second * 10 - 1_500), 10)
    assert state.freshness(999.0) == pytest.approx(150.0, abs=100.0)


async def test_a_phase_can_be_waited_for(state: State) -> None:
    waiting = asyncio.create_task(state.wait_for(Phase.CAUGHT_UP, 5.0))
    state.observe(10, 1.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    state.applied(10, 10)
    await waiting
    await state.wait_for(Phase.RECOVERING, 0.0)


async def test_a_wait_that_times_out_names_the_phase(state: State) -> None:
    state.observe(10, 1.0)
    with pytest.raises(
        TimeoutError,
        match=r"shop.customers partition 3 requires caught_up within 0.01 s; found recovering at 0 of 10",
    ):
        await state.wait_for(Phase.CAUGHT_UP, 0.01)


async def test_a_phase_that_is_lost_before_the_waiter_runs_is_awaited_again(state: State) -> None:
    waiting = asyncio.create_task(state.wait_for(Phase.CAUGHT_UP, 5.0))
    await asyncio.sleep(0)
    state.observe(0, 1.0)
    state.remeasure()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    state.observe(0, 2.0)
    await waiting


def test_observers_get_each_change_of_phase_until_they_stop(state: State) -> None:
    heard: list[Phase] = []
    stop = state.subscribe(lambda changed: heard.append(changed.phase))
    state.observe(10, 1.0)
    state.observe(11, 2.0)
    state.applied(10, 10)
    state.applied(11, 1)
    stop()
    state.disconnect()
    assert heard == [Phase.RECOVERING, Phase.CAUGHT_UP]


def test_progress_has_rows_rate_remainder_and_expected_end(state: State) -> None:
    state.opened(1_000, None)
    assert progress(state, 5.0) == (0, 0.0, None, None)
    state.observe(3_000, 10.0)
    assert progress(state, 10.0) == (0, 0.0, 2_000, None)
    state.applied(1_500, 400)
    assert progress(state, 12.0) == (400, 200.0, 1_500, 6.0)
    state.applied(3_000, 1_500)
    assert progress(state, 14.0)[2:] == (0, 0.0)


def test_when_the_end_was_last_reached_is_stored_with_the_rows(table: Table) -> None:
    table.observe(0, 0, 1_000.0)
    assert table.shard(0).marks[0].at_end == 1_000.0
    table.observe(0, 0, 1_010.0)
    assert table.shard(0).marks[0].at_end == 1_000.0
    table.observe(0, 0, 1_031.0)
    assert table.shard(0).marks[0].at_end == 1_031.0


def test_when_the_end_was_last_reached_is_stored_at_close(table: Table) -> None:
    table.observe(0, 0, 1_000.0)
    table.observe(0, 0, 1_005.0)
    table.close()
    table.open((0, 1), "id-1")
    assert table.state(0).freshness(1_006.0) == 1.0
    assert table.state(1).freshness(1_006.0) is None
