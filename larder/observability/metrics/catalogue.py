"""All metrics of a worker: name, kind, labels, meaning. docs/reference/metrics.md repeats it, and a test compares them.

Labels are declared names, partition numbers, routes and statuses, so their number is bounded by the declarations. A key
or the text of a request is never a label. This module does not know where values come from.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """`name` as Prometheus shows it; that of a histogram has `_bucket`, `_sum` and `_count` appended there."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


_INPUT = ("topic", "partition")
_TABLE = ("table", "partition")
_JOIN = ("join", "partition")

METRICS = (
    Metric(
        "larder_worker_info", "gauge", ("service", "worker"),
        "always 1; its labels name the service and the worker",
    ),
    Metric("larder_live", "gauge", (), "1 while `/health/live` answers 200"),
    Metric("larder_ready", "gauge", (), "1 while `/health/ready` answers 200"),
    Metric("larder_broker_answers", "gauge", (), "1 while the broker answers, 0 while it is unreachable"),
    Metric("larder_assignments_total", "counter", (), "assignments of partitions to this worker"),
    Metric("larder_rewinds_total", "counter", (), "returns to the committed offsets after failed outputs"),
    Metric(
        "larder_commit_seconds", "histogram", (),
        "time from the end of a unit (outputs and the input offsets they complete) to its commit; with exactly once, a"
        " unit is a transaction",
    ),
    Metric("larder_input_records_total", "counter", _INPUT, "records of an input that were handled"),
    Metric("larder_input_batch_records", "histogram", ("topic",), "records in each batch of an input"),
    Metric("larder_input_position", "gauge", _INPUT, "next offset to commit"),
    Metric("larder_input_lag", "gauge", _INPUT, "offsets between the position and the end"),
    Metric(
        "larder_published_records_total", "counter", _INPUT,
        "records published and committed, including deletions and records of internal topics",
    ),
    Metric(
        "larder_headers_left_out_total", "counter", ("topic",),
        "records that went on without the headers that go along, since these were too large",
    ),
    Metric("larder_dead_letters_total", "counter", (), "published dead letters"),
    Metric("larder_table_received_total", "counter", _TABLE, "records received for a table"),
    Metric("larder_table_batch_records", "histogram", ("table",), "records in each batch that was written to a table"),
    Metric(
        "larder_table_records_total", "counter", ("table", "result"),
        "records by what they did: new, changed, unchanged, stale, deleted, repeated, rejected",
    ),
    Metric("larder_table_swept_total", "counter", ("table",), "rows removed because the topic no longer had them"),
    Metric(
        "larder_table_state", "gauge", _TABLE,
        "0 starting, 1 disconnected, 2 recovering, 3 caught up, 4 standby",
    ),
    Metric("larder_table_position", "gauge", _TABLE, "next offset to read"),
    Metric("larder_table_lag", "gauge", _TABLE, "offsets between the position and the end; absent while unknown"),
    Metric(
        "larder_table_freshness_seconds", "gauge", _TABLE,
        "time since the position last met the end; absent if it never did",
    ),
    Metric("larder_table_rows", "gauge", ("table",), "rows stored on this worker"),
    Metric("larder_table_parked_records", "gauge", ("table",), "rejected records that are kept on this worker"),
    Metric("larder_table_diverging", "gauge", ("table",), "1 after its owner published falling revisions"),
    Metric("larder_table_disk_bytes", "gauge", ("table",), "size of the table's files, including the store's log"),
    Metric("larder_table_hot_bytes", "gauge", ("table",), "memory of recently read rows"),
    Metric("larder_table_hot_hits_total", "counter", ("table",), "rows that joins found among the recently read rows"),
    Metric("larder_table_hot_misses_total", "counter", ("table",), "rows that joins had to read from the store"),
    Metric("larder_cache_bytes", "gauge", (), "memory of the block cache that all tables share"),
    Metric("larder_write_buffer_bytes", "gauge", (), "memory for rows of all tables that are not in files yet"),
    Metric("larder_join_hits_total", "counter", _JOIN, "records that found all their rows when they arrived"),
    Metric("larder_join_joined_total", "counter", _JOIN, "results"),
    Metric("larder_join_missing_total", "counter", _JOIN, "records that lacked a row when they arrived"),
    Metric("larder_join_waited_total", "counter", _JOIN, "records that began to wait"),
    Metric("larder_join_released_total", "counter", _JOIN, "records that were joined after a wait"),
    Metric("larder_join_expired_total", "counter", _JOIN, "records whose wait ended without their row"),
    Metric("larder_join_passed_on_total", "counter", _JOIN, "records that were passed on without a row"),
    Metric("larder_join_dropped_total", "counter", _JOIN, "records that were dropped for lack of a row"),
    Metric("larder_join_parked_total", "counter", _JOIN, "records that became dead letters"),
    Metric("larder_join_unwanted_total", "counter", _JOIN, "records for which the function returned None"),
    Metric("larder_join_overridden_total", "counter", _JOIN, "records with a field that an embedded row replaces"),
    Metric("larder_join_waiting", "gauge", _JOIN, "records that are waiting now"),
    Metric(
        "larder_decide_total", "counter", ("decide", "result"),
        "outcomes of a decide: events decided, rows written, events emitted, refusals, wake-ups, dead letters (parked)",
    ),
    Metric(
        "larder_reaction_total", "counter", ("table", "result"),
        "outcomes of reactions to a table: changes, events emitted, dead letters (parked)",
    ),
    Metric(
        "larder_agent_records_total", "counter", ("agent", "result"),
        "records that an agent received, and those that it has finished (done)",
    ),
    Metric(
        "larder_calls_total", "counter", ("call", "result"),
        "calls that arrived, attempts begun and failed, and how calls ended: done, given up, dead-lettered (parked)",
    ),
    Metric("larder_calls_waiting", "gauge", ("call",), "calls that are not done in this worker's partitions"),
    Metric("larder_calls_running", "gauge", ("call",), "calls that run in this worker"),
    Metric("larder_calls_hanging", "gauge", ("call",), "calls that still run though their time is over"),
    Metric(
        "larder_call_breaker_open", "gauge", ("call",),
        "1 while the worker makes only trial calls, since what they call is down",
    ),
    Metric(
        "larder_call_seconds", "histogram", ("call",),
        "time from the start of an attempt to its end, or to its timeout",
    ),
    Metric(
        "larder_remote_reads_total", "counter", ("call", "service", "table", "result"),
        "reads of other services' rows by calls, by outcome: row, absent, unavailable, failed",
    ),
    Metric(
        "larder_operator_records_total", "counter", ("kind", "name", "result"),
        "records that an operator of any other kind took, by outcome",
    ),
    Metric("larder_rekey_dropped_total", "counter", ("topic",), "records that .by dropped because the field was null"),
    Metric(
        "larder_growth_phase", "gauge", ("phase",),
        "1 for the phase of the last `larder scale` of the service, 0 for all others; absent if it was never scaled",
    ),
    Metric(
        "larder_growth_copied_offsets", "gauge", (),
        "offsets that are copied in this worker's partitions; absent unless the service is being copied",
    ),
    Metric(
        "larder_growth_offsets_to_copy", "gauge", (),
        "offsets to copy in this worker's partitions, with those that are copied; absent unless the service is being"
        " copied",
    ),
    Metric("larder_http_requests_total", "counter", ("address", "status"), "answers to HTTP requests, by route"),
    Metric(
        "larder_http_request_seconds", "histogram", ("address",),
        "time to answer an HTTP request; streams do not count",
    ),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in METRICS}
