"""/metrics as Marathon's clients read it."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from scheduler.telemetry import Metrics
from scheduler.telemetry.dropwizard import to_dropwizard


def test_every_kind_has_its_place_and_labels_join_the_name():
    registry = CollectorRegistry()
    Gauge("up", "x", registry=registry).set(2.5)
    counter = Counter("asked", "x", ["method", "status"], registry=registry)
    counter.labels("GET", "200").inc(3)
    shown = to_dropwizard(registry)
    assert shown["version"] == "5.0.0"
    assert shown["gauges"] == {"up": {"value": 2.5}}
    assert shown["counters"]["asked_total.get.200"] == {"count": 3}
    assert (shown["meters"], shown["timers"]) == ({}, {})


def test_quantiles_lie_within_the_buckets():
    registry = CollectorRegistry()
    histogram = Histogram("took", "x", ["what"], buckets=(1, 2, 4), registry=registry)
    for value in (0.5, 1.5, 1.5, 3, 100):
        histogram.labels("a").observe(value)
    shown = to_dropwizard(registry)["histograms"]["took.a"]
    assert shown["count"] == 5
    assert shown["mean"] == pytest.approx(21.3)
    assert shown["p50"] == pytest.approx(1.75)
    assert shown["p999"] == 4  # Beyond the last bound nothing is known.


def test_a_histogram_without_observations_is_zero():
    registry = CollectorRegistry()
    Histogram("took", "x", buckets=(1, 2), registry=registry)
    shown = to_dropwizard(registry)["histograms"]["took"]
    assert (shown["count"], shown["mean"], shown["p99"]) == (0, 0.0, 0.0)


def test_what_marathon_has_too_is_there_under_its_name():
    shown = to_dropwizard(Metrics().registry)
    assert shown["counters"]["marathon.tasks.launched.counter"] == {"count": 0}
    assert shown["gauges"]["marathon.instances.running.gauge"] == {"value": 0.0}
