"""Reads the engine's state into families on request. Counts nothing and keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.counters.join_quality import QualityOfJoin
from larder.declaring.growth import GrowthPhase
from larder.observability.metrics.families import Families
from larder.observability.outcomes import CALL
from larder.operators.calls.breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from larder.counters.operator_counts import OperatorCounts
    from larder.counters.traffic import Traffic
    from larder.declaring.operators import Operator
    from larder.local_tables.table import LocalTable
    from larder.observability.metrics.requests import Requests
    from larder.operators.calls.outside import Outside
    from larder.store import Memory
    from larder.worker.call_status import CallStatus
    from larder.worker.membership import Membership
    from larder.worker.runner import ServiceRunner
    from larder.worker.vitals import Standing


def read_worker(families: Families, runner: ServiceRunner, memory: Memory, now: float) -> Iterator[None]:
    """Add all values of a worker, a slice at a time; `now` in seconds since the epoch."""
    families.add("larder_worker_info", 1, runner.runtime.service.name, runner.runtime.options.worker)
    vitals = runner.vitals()
    families.add("larder_broker_answers", vitals.answers)
    for name, used in memory.used().items():
        families.add(f"larder_{name}", used)
    _read_traffic(families, runner.runtime.traffic, runner.membership)
    if runner.membership is not None:
        _read_inputs(families, runner.runtime.traffic, runner.membership, vitals.partitions)
    for name, table in tuple(runner.runtime.tables.items()):
        yield
        _read_table(families, name, table, now)
    for operator, counts in runner.runtime.counts.operators:
        yield
        _read_operator(families, operator, counts)
    for (name, partition), count in runner.waiting().items():
        families.add("larder_join_waiting", count, name, partition)
    for name, call in runner.calls().items():
        _read_call(families, name, call, runner.runtime.callers.known(name))
    for name, rekeying in runner.runtime.counts.rekeyings.items():
        families.add("larder_rekey_dropped_total", rekeying.dropped, name)
    if (growth := runner.growth()) is not None:
        read_growth(families, growth)


def read_growth(families: Families, growth: Mapping[str, Any]) -> None:
    """Add where the growth of a service stands."""
    for phase in GrowthPhase:
        families.add("larder_growth_phase", phase.value == growth["phase"], phase.value)
    if growth["to_copy"] is not None:
        families.add("larder_growth_copied_offsets", growth["copied"])
        families.add("larder_growth_offsets_to_copy", growth["to_copy"])


def read_requests(families: Families, requests: Requests) -> None:
    """Add the answers of the web port."""
    for (address, status), count in requests.answers.items():
        families.add("larder_http_requests_total", count, address, status)
    for address, seconds in requests.seconds.items():
        families.add_histogram("larder_http_request_seconds", seconds, address)


def _read_traffic(families: Families, traffic: Traffic, membership: Membership | None) -> None:
    families.add("larder_assignments_total", traffic.assignments)
    families.add("larder_rewinds_total", traffic.rewinds)
    families.add_histogram("larder_commit_seconds", traffic.commits)
    for (topic, partition), count in traffic.published.items():
        families.add("larder_published_records_total", count, topic, partition)
    for topic, count in traffic.left_out.counts.items():
        families.add("larder_headers_left_out_total", count, topic)
    letters = None if membership is None else membership.plan.dead_letters.topic
    families.add("larder_dead_letters_total", sum(n for (topic, _), n in traffic.published.items() if topic == letters))


def _read_inputs(families: Families, traffic: Traffic, membership: Membership, standings: Iterable[Standing]) -> None:
    for topic in membership.plan.inputs:
        if (taken := traffic.taken.get(topic)) is not None:
            families.add_histogram("larder_input_batch_records", taken.sizes, topic)
            for partition, count in taken.records.items():
                families.add("larder_input_records_total", count, topic, partition)
    for place, position, end, *_ in standings:
        if place.kind == "input":
            families.add("larder_input_position", position, place.topic, place.partition)
            if end is not None:
                families.add("larder_input_lag", max(0, end - position), place.topic, place.partition)


def _read_table(families: Families, name: str, table: LocalTable, now: float) -> None:
    for partition, count in table.taken.records.items():
        families.add("larder_table_received_total", count, name, partition)
    families.add_histogram("larder_table_batch_records", table.taken.sizes, name)
    results = table.counts.as_dict()
    families.add("larder_table_swept_total", results.pop("swept"), name)
    _read_results(families, "larder_table_records_total", [name], results)
    for state in table.states:
        partition = state.partition
        families.add("larder_table_state", state.phase, name, partition)
        families.add("larder_table_position", state.position, name, partition)
        if state.lag is not None:
            families.add("larder_table_lag", state.lag, name, partition)
        if (freshness := state.freshness(now)) is not None:
            families.add("larder_table_freshness_seconds", freshness, name, partition)
    sizes = table.stored.sizes()
    families.add("larder_table_rows", sizes.rows, name)
    families.add("larder_table_parked_records", sizes.rejected, name)
    families.add("larder_table_diverging", table.stored.fell is not None, name)
    families.add("larder_table_disk_bytes", sizes.disk_bytes, name)
    families.add("larder_table_hot_bytes", sizes.hot_bytes, name)
    families.add("larder_table_hot_hits_total", table.stored.hot_counts.hits, name)
    families.add("larder_table_hot_misses_total", table.stored.hot_counts.misses, name)


_RESULTS = {
    "decides": ("larder_decide_total", "name"),
    "reactions": ("larder_reaction_total", "table"),
    "agents": ("larder_agent_records_total", "name"),
    CALL: ("larder_calls_total", "name"),
}
"""The metric of each list or kind that counts records by result, and its labels as named in an operator's summary."""

_OTHER_RESULTS = ("larder_operator_records_total", "kind", "name")


def _read_operator(families: Families, operator: Operator, counts: OperatorCounts) -> None:
    """Add the outcomes of an operator's records; those of joins are by partition."""
    if isinstance(counts, QualityOfJoin):
        for partition, quality in counts.partitions.items():
            for result, count in quality.counts.as_dict().items():
                families.add(f"larder_join_{result}_total", count, operator.name, partition)
        return
    metric, *labels = _RESULTS.get(operator.listed_as) or _RESULTS.get(operator.kind) or _OTHER_RESULTS
    summary = operator.summary()
    _read_results(families, metric, [summary[label] for label in labels], counts.as_dict())


def _read_call(families: Families, name: str, call: CallStatus, outside: Outside | None) -> None:
    families.add("larder_calls_waiting", call.waiting, name)
    families.add("larder_calls_running", call.running, name)
    families.add("larder_calls_hanging", call.hanging, name)
    families.add("larder_call_breaker_open", call.breaker is not BreakerState.CLOSED, name)
    if outside is not None:
        families.add_histogram("larder_call_seconds", outside.seconds, name)
        for end, count in outside.reads.items():
            families.add("larder_remote_reads_total", count, name, *end)


def _read_results(families: Families, metric: str, labels: Sequence[str], counts: Mapping[str, int]) -> None:
    for result, count in counts.items():
        families.add(metric, count, *labels, result)
