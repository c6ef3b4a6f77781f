"""The report of a run: figures by key, and failures by contestant. Nothing is left out silently.

Scripts outside use the keys: keep them. Does not know how figures are measured.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.process import ContestantError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The innermost frames, which show where the failure happened.
FRAMES = -3


class Key(NamedTuple):
    """A figure, usually with a target. If it is a ratio, `of` names its two figures, ours first."""

    name: str
    about: str
    of: tuple[str, str] | None = None
    at_least: float | None = None
    at_most: float | None = None
    full_only: bool = False

    def meets(self, figure: float) -> bool:
        """Return whether the figure meets the target."""
        return (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)


def _versus(name: str, about: str, ours: str, theirs: str, at_least: float) -> Key:
    area = name.rpartition(".")[0]
    return Key(name, about, (f"{area}.{ours}", f"{area}.{theirs}"), at_least)


KEYS = (
    _versus("join.global.wall_vs_kafka_streams", "join, global table", "larder_per_s", "kafka_streams_per_s", 1.5),
    _versus(
        "join.global.cpu_vs_kafka_streams",
        "the same, per CPU second",
        "larder_per_cpu_s",
        "kafka_streams_per_cpu_s",
        2.0,
    ),
    _versus("join.global.wall_vs_bare_loop", "the same", "larder_per_s", "bare_loop_per_s", 0.9),
    _versus("join.global.wall_vs_quix", "join_asof", "larder_per_s", "quix_per_s", 6.0),
    _versus("join.global.wall_vs_plain_faust", "one order at a time", "larder_per_s", "plain_faust_per_s", 15.0),
    _versus(
        "join.copartitioned.wall_vs_kafka_streams",
        "join, co-partitioned table",
        "larder_per_s",
        "kafka_streams_per_s",
        1.5,
    ),
    Key(
        "join.exactly_once.wall_vs_at_least_once",
        "join, global table, exactly once",
        ("join.exactly_once.larder_per_s", "join.global.larder_per_s"),
        0.95,
    ),
    _versus(
        "join.exactly_once.wall_vs_kafka_streams",
        "the same, against exactly_once_v2",
        "larder_per_s",
        "kafka_streams_per_s",
        1.3,
    ),
    _versus(
        "decide.wall_vs_kafka_streams",
        "a state and its changelog, exactly once",
        "larder_per_s",
        "kafka_streams_per_s",
        1.0,
    ),
    _versus("restore.replay.wall_vs_kafka_streams", "restore", "larder_per_s", "kafka_streams_per_s", 1.0),
    _versus("restore.replay.wall_vs_bare_loop", "restore", "larder_per_s", "bare_loop_per_s", 0.9),
    Key("get.raw_us", "get of one row, bytes", at_most=2.0),
    Key("get.typed_us", "get of one row, typed", at_most=3.5),
    Key("http.lookups_per_s", "look-ups during ingestion", at_least=2000.0),
    Key("http.p99_ms", "their latency", at_most=10.0),
    Key(
        "http.ingestion_kept",
        "ingestion during look-ups, against alone",
        ("http.ingestion_loaded_per_s", "http.ingestion_alone_per_s"),
        0.7,
    ),
    Key(
        "http.idle_vs_bare_handler",
        "look-ups of an idle worker, against a bare handler",
        ("http.larder_idle_per_s", "http.bare_handler_per_s"),
        0.6,
    ),
    Key("http.hop_p99_ms", "a look-up over another worker", at_most=20.0),
    Key("transactions.per_s", "transactions, one after the other", at_least=300.0),
    Key("transactions.p99_ms", "their latency", at_most=10.0),
    Key("requests.p99_ms", "a request alone, decided and committed", at_most=50.0),
    Key("requests.per_s", "requests of 96 clients at three workers"),
    Key(
        "calls.ingestion_kept",
        "join while the other side of all calls hangs, against without calls",
        ("calls.ingestion_hanging_per_s", "calls.ingestion_alone_per_s"),
        0.95,
    ),
    Key("orders.p99_ms", "an order through all services, at 50 a second", at_most=500.0),
    Key("orders.per_s", "such orders of 64 clients"),
    Key("failover.standby_s", "kill -9 until all partitions are processed, with a standby", at_most=3.0),
    Key("failover.plain_s", "the same without one", at_most=10.0),
    Key("growth.pause_s", "no results of a partition while a service is scaled", at_most=10.0),
    Key("growth.rows_per_s", "records copied per second and worker", at_least=30_000.0),
    Key(
        "growth.join_after",
        "join after scaling, against before",
        ("growth.join_after_per_s", "growth.join_before_per_s"),
        0.5,
    ),
    Key("freshness.idle_p99_ms", "a change visible in every worker", at_most=100.0),
    Key("freshness.loaded_p99_ms", "the same under full load", at_most=1000.0),
    Key("memory.rows_10m_mb", "memory with 10 million rows", at_most=512.0, full_only=True),
    Key("restore.cost_10m_vs_1m", "cost of a row, 10 million against 1", at_most=1.2, full_only=True),
)


@dataclass
class Report:
    """Figures and failures so far."""

    figures: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Record a failure of the block under `what`, and continue the run.

        This includes unexpected exceptions: a defect in one part must not cost the figures of the others.
        """
        try:
            yield
        except ContestantError as error:
            self.failures[what] = str(error)
        except Exception:  # noqa: BLE001 - see above
            self.failures[what] = traceback.format_exc(limit=FRAMES)

    def with_ratios(self) -> dict[str, float]:
        """Return all figures, including the ratios."""
        ratios = {
            key.name: self.figures[key.of[0]] / self.figures[key.of[1]]
            for key in KEYS
            if key.of and all(each in self.figures for each in key.of)
        }
        return {**self.figures, **ratios}

    def lacking(self, *, quick: bool, areas: tuple[str, ...]) -> list[str]:
        """Return the missing keys of a run of these areas. The area is the first word of a key."""
        found = self.with_ratios()
        return [
            key.name
            for key in KEYS
            if key.name.partition(".")[0] in areas and not (quick and key.full_only) and key.name not in found
        ]
