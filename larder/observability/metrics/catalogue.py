"""All metrics of a worker: name, kind, labels, meaning. docs/reference/metrics.md repeats it, as a test says.

Labels are names that are declared, numbers of partitions, addresses as they are routed, and statuses: there are as many
as there are declarations. No key, no text of a request is ever one. May not know where values come from.
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
    Metric("larder_worker_info", "gauge", ("service", "worker"), "1: which service and worker this is"),
    Metric("larder_live", "gauge", (), "1 while `/health/live` says yes"),
    Metric("larder_ready", "gauge", (), "1 while `/health/ready` says yes"),
    Metric("larder_broker_answers", "gauge", (), "1 while the broker answers, 0 while it is away"),
    Metric("larder_assignments_total", "counter", (), "times that the group gave this worker its partitions"),
    Metric("larder_rewinds_total", "counter", (), "returns to the committed offsets, after outputs that failed"),
    Metric(
        "larder_commit_seconds", "histogram", (),
        "commits, and how long each took from its unit's end on; exactly once, each is a transaction",
    ),
    Metric("larder_input_records_total", "counter", _INPUT, "records of an input that were handled"),
    Metric("larder_input_batch_records", "histogram", ("topic",), "how many of them were handled at once"),
    Metric("larder_input_position", "gauge", _INPUT, "next offset to commit"),
    Metric("larder_input_lag", "gauge", _INPUT, "offsets between the position and the end"),
    Metric(
        "larder_published_records_total", "counter", _INPUT,
        "records that were published, of units that are committed; deletions and internal topics included",
    ),
    Metric("larder_dead_letters_total", "counter", (), "dead letters that were published"),
    Metric("larder_table_received_total", "counter", _TABLE, "records that came for a table"),
    Metric("larder_table_batch_records", "histogram", ("table",), "how many of them were written at once"),
    Metric(
        "larder_table_records_total", "counter", ("table", "result"),
        "what they did: new, changed, unchanged, stale, deleted, repeated, rejected",
    ),
    Metric("larder_table_swept_total", "counter", ("table",), "rows removed since the topic no longer had them"),
    Metric(
        "larder_table_state", "gauge", _TABLE,
        "0 starting, 1 disconnected, 2 recovering, 3 caught up, 4 standby",
    ),
    Metric("larder_table_position", "gauge", _TABLE, "next offset to read"),
    Metric("larder_table_lag", "gauge", _TABLE, "offsets between the position and the end; left out while unknown"),
    Metric(
        "larder_table_freshness_seconds", "gauge", _TABLE, "since the position last met the end; left out for never"
    ),
    Metric("larder_table_rows", "gauge", ("table",), "rows that are stored here"),
    Metric("larder_table_parked_records", "gauge", ("table",), "records that were no rows, and are kept here"),
    Metric("larder_table_diverging", "gauge", ("table",), "1 once its owner published falling revisions"),
    Metric("larder_table_disk_bytes", "gauge", ("table",), "size of the files, with the log"),
    Metric("larder_table_hot_bytes", "gauge", ("table",), "memory of rows that were just read"),
    Metric("larder_table_hot_hits_total", "counter", ("table",), "rows for joins that were found among these"),
    Metric("larder_table_hot_misses_total", "counter", ("table",), "rows for joins that were looked for in the store"),
    Metric("larder_cache_bytes", "gauge", (), "blocks in memory, of all tables"),
    Metric("larder_write_buffer_bytes", "gauge", (), "rows in memory that are not yet in files, of all tables"),
    Metric("larder_join_hits_total", "counter", _JOIN, "orders all of whose rows were there when they came"),
    Metric("larder_join_joined_total", "counter", _JOIN, "results"),
    Metric("larder_join_missing_total", "counter", _JOIN, "orders that lacked a row when they came"),
    Metric("larder_join_waited_total", "counter", _JOIN, "orders that began to wait"),
    Metric("larder_join_released_total", "counter", _JOIN, "orders that waited and were joined"),
    Metric("larder_join_expired_total", "counter", _JOIN, "orders that waited for as long as they may"),
    Metric("larder_join_passed_on_total", "counter", _JOIN, "orders that went on without a row"),
    Metric("larder_join_dropped_total", "counter", _JOIN, "orders that were forgotten for lack of a row"),
    Metric("larder_join_parked_total", "counter", _JOIN, "orders that became dead letters"),
    Metric("larder_join_unwanted_total", "counter", _JOIN, "orders of which the function wanted no result"),
    Metric("larder_join_overridden_total", "counter", _JOIN, "orders with a field that an embedded row replaces"),
    Metric("larder_join_waiting", "gauge", _JOIN, "orders that wait now"),
    Metric(
        "larder_decide_total", "counter", ("decide", "result"),
        "of a decide: events decided, rows written, events emitted, refused, woken, parked",
    ),
    Metric(
        "larder_reaction_total", "counter", ("table", "result"),
        "of reactions to a table: changes, events emitted, parked",
    ),
    Metric(
        "larder_agent_records_total", "counter", ("agent", "result"),
        "records that an agent was given, and those after which it asked for more (done)",
    ),
    Metric(
        "larder_operator_records_total", "counter", ("kind", "name", "result"),
        "records that an operator of any other kind took, by what became of them",
    ),
    Metric("larder_rekey_dropped_total", "counter", ("topic",), "records that .by left out: null in its field"),
    Metric("larder_http_requests_total", "counter", ("address", "status"), "answers, by address as it is routed"),
    Metric("larder_http_request_seconds", "histogram", ("address",), "how long they took; streams are not in it"),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in METRICS}
