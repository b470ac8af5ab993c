"""Write the metrics in the JSON form of Marathon's /metrics (Dropwizard's metrics module).

Our names are kept, label values joined to them with dots; beside them stand the metrics of
Marathon 1.11 that have the same meaning here, under Marathon's names. Quantiles of histograms are
interpolated within Prometheus's buckets, which is as exact as they are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

Json = dict[str, Any]

_QUANTILES = {"p50": 0.5, "p75": 0.75, "p95": 0.95, "p98": 0.98, "p99": 0.99, "p999": 0.999}
_MARATHON_GAUGES = {
    "egret_apps": "marathon.apps.active.gauge",
    "egret_deployments": "marathon.deployments.active.gauge",
    "egret_instances.running": "marathon.instances.running.gauge",
    "egret_instances.staging": "marathon.instances.staged.gauge",
}
_MARATHON_COUNTERS = {
    "egret_deployments_started_total": "marathon.deployments.counter",
    "egret_offers_received_total": "marathon.mesos.offers.incoming.counter",
    "egret_offers_used_total": "marathon.mesos.offers.used.counter",
    "egret_offers_declined_total": "marathon.mesos.offers.declined.counter",
    "egret_launches_total": "marathon.tasks.launched.counter",
}


def to_dropwizard(registry: CollectorRegistry) -> Json:
    """Read the registry once and sort what it holds by kind."""
    gauges: Json = {}
    counters: Json = {}
    histograms: Json = {}
    for family in registry.collect():
        match family.type:
            case "counter":
                _put(counters, family, "count", _MARATHON_COUNTERS)
            case "histogram":
                histograms.update(_histograms(family))
            case _:
                _put(gauges, family, "value", _MARATHON_GAUGES)
    return {
        "version": "5.0.0",
        "gauges": gauges,
        "counters": counters,
        "histograms": histograms,
        "meters": {},
        "timers": {},
    }


def _put(found: Json, family: Family, key: str, marathon: Mapping[str, str]) -> None:
    for sample in family.samples:
        name = _name(sample.name, sample.labels.values())
        value = int(sample.value) if key == "count" else sample.value
        found[name] = {key: value}
        if name in marathon:
            found[marathon[name]] = {key: value}


def _name(name: str, labels: Iterable[str]) -> str:
    return ".".join([name, *(label.lower() for label in labels)])


def _histograms(family: Family) -> Json:
    buckets: dict[str, list[Sample]] = {}
    sums: dict[str, float] = {}
    for sample in family.samples:
        labels = [value for name, value in sample.labels.items() if name != "le"]
        name = _name(family.name, labels)
        if sample.name.endswith("_bucket"):
            buckets.setdefault(name, []).append(sample)
        elif sample.name.endswith("_sum"):
            sums[name] = sample.value
    return {name: _histogram(found, sums.get(name, 0.0)) for name, found in buckets.items()}


def _histogram(buckets: list[Sample], total: float) -> Json:
    bounds = [(float(sample.labels["le"]), sample.value) for sample in buckets]
    count = bounds[-1][1] if bounds else 0.0
    shown: Json = {"count": int(count), "mean": total / count if count else 0.0}
    for name, share in _QUANTILES.items():
        shown[name] = _quantile(bounds, share * count)
    return shown


def _quantile(bounds: list[tuple[float, float]], rank: float) -> float:
    """Interpolate as Prometheus's histogram_quantile does; the open bucket counts as its begin."""
    below_s = below_n = 0.0
    for bound_s, n in bounds:
        if n >= rank and n > below_n:
            if bound_s == float("inf"):
                return below_s
            return below_s + (bound_s - below_s) * (rank - below_n) / (n - below_n)
        below_s, below_n = bound_s, n
    return 0.0
