"""Values under the names of the catalogue, as prometheus-client writes them. Does not know where they come from."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from larder.observability.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric as Family

    from larder.counters.traffic import Histogram
    from larder.observability.metrics.catalogue import Metric

_VALUES: dict[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class Families:
    """One family for each metric of the catalogue; a name of another kind, or of no metric, raises KeyError."""

    def __init__(self) -> None:
        """Create families without values."""
        self._values = {each.name: _VALUES[each.kind](**_described(each)) for each in METRICS if each.kind in _VALUES}
        self._histograms = {
            each.name: HistogramMetricFamily(**_described(each)) for each in METRICS if each.kind not in _VALUES
        }

    def add(self, name: str, value: float, *labels: str | int) -> None:
        """Add a counter's or a gauge's value; labels in the order of the catalogue."""
        self._values[name].add_metric([*map(str, labels)], value)

    def add_histogram(self, name: str, histogram: Histogram, *labels: str | int) -> None:
        """Add a histogram."""
        bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        self._histograms[name].add_metric([*map(str, labels)], buckets, histogram.sum)

    def collect(self) -> Iterable[Family]:
        """Return all families, as a collector of prometheus-client does."""
        return chain(self._values.values(), self._histograms.values())


def _described(metric: Metric) -> dict[str, Any]:
    return {"name": metric.name, "documentation": metric.meaning.replace("`", ""), "labels": metric.labels}
