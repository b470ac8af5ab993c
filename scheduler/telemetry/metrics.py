"""Measure what happens, and read what is, into one Prometheus registry of our own.

Two ways in. What happens (an update, a launch, a commit) is counted when it passes through the
runtime: ``on_event``, ``on_effect``, ``on_changes``, ``on_fact``, ``on_commit``. What is (queue
length, connection, the counters that other rooms keep themselves) is read from ``sources`` when
the metrics are asked for, so that it costs nothing in between. Names come from ``catalog``.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from attrs import define, field
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from scheduler.core.effects import (
    Accept,
    Decline,
    DeploymentDone,
    DeploymentFailed,
    DeploymentStarted,
    Fact,
    Kill,
    MesosEffect,
    UnhealthyKill,
)
from scheduler.core.events import Event, LaunchRefused, OffersReceived, StatusUpdate
from scheduler.core.explain import Block, blocks_of
from scheduler.core.instance import Condition, Instance
from scheduler.core.tally import Bucket
from scheduler.core.world import World
from scheduler.telemetry.catalog import BY_NAME, MetricKind

# A second series for every counter and histogram, of when it began: nobody asks for that.
disable_created_metrics()

_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMMIT_RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000)
_START_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

_EXPLAINING = 5
"""To explain an app takes as long as to see of so many that they wait for nothing."""
_EFFORT_MAX = 1_000 * _EXPLAINING

Labelled = Mapping[tuple[str, ...], float]
"""Values by the labels of a metric, in the order of the catalog."""


def _no_world() -> World | None:
    return None


@define
class Sources:
    """What is read when the metrics are asked for; each is set by whoever builds the rooms."""

    world: Callable[[], World | None] = _no_world
    """The world of the present term; None while we do not lead."""
    clock: Callable[[], int] = int
    """Tells epoch ms."""
    values: dict[str, Callable[[], Labelled]] = field(factory=dict)
    """Name of a metric → what gives its values; ``{(): 3}`` for one without labels."""


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sources = Sources()
        self.conditions: Tally[Condition] = Tally()
        """Instances by condition, kept up to date by ``on_changes``."""
        self.leader = self._gauge("egret_leader")
        self.loop_lag = self._gauge("egret_loop_lag_seconds")
        self.loop_lag_peak = self._histogram("egret_loop_lag_peak_seconds", _LAG_S)
        self.commit_s = self._histogram("egret_store_commit_seconds", _COMMIT_S)
        self.commit_records = self._histogram("egret_store_commit_records", _COMMIT_RECORDS)
        self.commit_failures = self._counter("egret_store_commit_failures_total")
        self.store_degraded = self._gauge("egret_store_degraded")
        self.offers_received = self._counter("egret_offers_received_total")
        self.offers_used = self._counter("egret_offers_used_total")
        self.offers_declined = self._counter("egret_offers_declined_total")
        self.launches = self._counter("egret_launches_total")
        self.launches_refused = self._counter("egret_launches_refused_total")
        self.kills = self._counter("egret_kills_total")
        self.task_updates = self._counter("egret_task_updates_total")
        self.submit_to_running = self._histogram("egret_submit_to_running_seconds", _START_S)
        self.launch_to_running = self._histogram("egret_launch_to_running_seconds", _START_S)
        self.deployments_started = self._counter("egret_deployments_started_total")
        self.deployments_finished = self._counter("egret_deployments_finished_total")
        self.unhealthy_kills = self._counter("egret_unhealthy_kills_total")
        self.deregister_timeouts = self._counter("egret_deregister_timeouts_total")
        self.api_requests = self._counter("egret_api_requests_total")
        self.api_connections_cut = self._counter("egret_api_connections_cut_total")
        self.api_request_s = self._histogram("egret_api_request_seconds", _REQUEST_S)
        self.registry.register(_Scrape(self))

    def _counter(self, name: str) -> Counter:
        metric = BY_NAME[name]
        return Counter(name, metric.meaning, metric.labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        metric = BY_NAME[name]
        return Gauge(name, metric.meaning, metric.labels, registry=self.registry)

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        metric = BY_NAME[name]
        return Histogram(
            name, metric.meaning, metric.labels, buckets=buckets, registry=self.registry
        )

    # ----------------------------------------------------------- what happens

    def begin_term(self, world: World) -> None:
        """Count the instances of a world that was just loaded; O(instances)."""
        self.conditions = Tally(instance.condition for instance in world.instances.values())

    def on_event(self, event: Event) -> None:
        """Count what Mesos reports."""
        match event:
            case StatusUpdate():
                self.task_updates.labels(event.state).inc()
            case OffersReceived():
                self.offers_received.inc(len(event.offers))
            case LaunchRefused():
                self.launches_refused.inc(len(event.task_ids))
            case _:
                pass

    def on_effect(self, effect: MesosEffect) -> None:
        """Count what is sent to Mesos."""
        match effect:
            case Accept():
                self.offers_used.inc(len(effect.offer_ids))
                self.launches.inc(len(effect.launches))
            case Decline():
                self.offers_declined.inc(len(effect.offer_ids))
            case Kill():
                self.kills.inc()
            case _:
                pass

    def on_changes(self, changes: Iterable[tuple[Instance | None, Instance | None]]) -> None:
        """Follow the instances: their conditions, and how long their tasks took to run."""
        for before, after in changes:
            was = before.condition if before is not None else None
            now = after.condition if after is not None else None
            if was is now:
                continue
            if was is not None:
                self.conditions[was] -= 1
            if now is not None:
                self.conditions[now] += 1
            if before is not None and after is not None:
                self._on_move(before, after)

    def _on_move(self, before: Instance, after: Instance) -> None:
        if after.condition is Condition.RUNNING and before.started_at_ms is None:
            started_at_ms = after.started_at_ms
            if started_at_ms is None:
                return
            if after.staged_at_ms is not None:
                self.launch_to_running.observe((started_at_ms - after.staged_at_ms) / 1000)
            if after.incarnation == 1:
                self.submit_to_running.observe((started_at_ms - after.created_at_ms) / 1000)
        elif (
            before.condition is Condition.DRAINING
            and after.condition is Condition.KILLING
            and not after.deregistered
        ):
            self.deregister_timeouts.inc()

    def on_fact(self, fact: Fact) -> None:
        """Count published facts; a listener of the bus."""
        match fact:
            case DeploymentStarted():
                self.deployments_started.inc()
            case DeploymentDone():
                self.deployments_finished.labels("done").inc()
            case DeploymentFailed():
                self.deployments_finished.labels("failed").inc()
            case UnhealthyKill():
                self.unhealthy_kills.inc()
            case _:
                pass

    def on_commit(self, elapsed_s: float, records: int, *, failed: bool) -> None:
        """Measure one attempt to commit."""
        self.store_degraded.set(failed)
        if failed:
            self.commit_failures.inc()
            return
        self.commit_s.observe(elapsed_s)
        self.commit_records.observe(records)

    def on_loop_lag(self, lag_s: float) -> None:
        """Note how late the event loop was."""
        self.loop_lag.set(lag_s)
        self.loop_lag_peak.observe(lag_s)


class _Scrape(Collector):
    """Reads what is, whenever Prometheus asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Family]:
        """Name no family in advance: asking the sources at registration would be too early."""
        return ()

    def collect(self) -> Iterable[Family]:
        """Yield every family of the catalog that is not counted directly."""
        sources = self._metrics.sources
        world = sources.world()
        values: dict[str, Labelled] = {
            name: {(condition.value,): float(number) for condition, number in numbers}
            for name, numbers in (("egret_instances", self._conditions()),)
        }
        if world is not None:
            now_ms = sources.clock()
            values |= {name: {(): value} for name, value in _of_world(world, now_ms)}
            values["egret_deployments_blocked"] = _blocked(world, now_ms)
        values |= {name: read() for name, read in sources.values.items()}
        for name in SCRAPED:
            yield _family(name, values.get(name, {}))

    def _conditions(self) -> list[tuple[Condition, int]]:
        return [(condition, self._metrics.conditions[condition]) for condition in Condition]


def _of_world(world: World, now_ms: int) -> Iterable[tuple[str, float]]:
    """Read the state; O(apps), not O(instances)."""
    queued = sum(
        tally.count(Bucket.SCHEDULED) for app in world.tallies.values() for tally in app.values()
    )
    waits_ms = [delay.until_ms - now_ms for delay in world.delays.values()]
    held = [wait_ms for wait_ms in waits_ms if wait_ms > 0]
    yield "egret_mesos_connected", world.connected
    yield "egret_offers_held", len(world.offers)
    yield "egret_offers_suppressed", world.suppressed
    yield "egret_unknown_tasks", len(world.unknown_tasks)
    yield "egret_illegal_transitions_total", sum(world.illegal.values())
    yield "egret_apps", sum(not app.removed for app in world.apps.values())
    yield "egret_deployments", len(world.deployments)
    yield "egret_queue_instances", queued
    yield "egret_queue_classes", len(world.waiting)
    yield "egret_backoff_classes", len(held)
    yield "egret_backoff_longest_seconds", max(held, default=0) / 1000
    yield "egret_health_failing_instances", world.brake.failing
    yield "egret_health_brake", world.brake.holds


def _blocked(world: World, now_ms: int) -> Labelled:
    """Count apps by what their deployments wait for; every reason is there, so that one can alert.

    To explain an app costs about 15 µs. The limit keeps a scrape from holding up the loop while
    thousands wait; what waits at all is never missed altogether.
    """
    reasons = Tally({(block.value,): 0 for block in Block})
    every = (blocks_of(world, deployment_id, now_ms) for deployment_id in world.deployments)
    effort = 0
    for blocked in chain.from_iterable(every):
        if effort >= _EFFORT_MAX:
            break
        effort += 1 if blocked is None else _EXPLAINING
        if blocked is not None:
            reasons[(blocked.block.value,)] += 1
    reasons[("deployment",)] = sum(
        app_id in world.locks for queued in world.queued.values() for app_id in queued.app_ids
    )
    return reasons


SCRAPED = (
    "egret_epoch",
    "egret_inbox_events",
    "egret_mesos_connected",
    "egret_mesos_events_total",
    "egret_mesos_calls_total",
    "egret_mesos_problems_total",
    "egret_offers_held",
    "egret_offers_suppressed",
    "egret_instances",
    "egret_unknown_tasks",
    "egret_illegal_transitions_total",
    "egret_apps",
    "egret_deployments",
    "egret_deployments_blocked",
    "egret_queue_instances",
    "egret_queue_classes",
    "egret_backoff_classes",
    "egret_backoff_longest_seconds",
    "egret_health_checks",
    "egret_health_probes_in_flight",
    "egret_health_probe_lag_seconds",
    "egret_health_probes_total",
    "egret_health_failing_instances",
    "egret_health_brake",
    "egret_consul_synced",
    "egret_consul_lag_seconds",
    "egret_consul_registrations",
    "egret_consul_failures_total",
)
"""Families that are read when asked for; all others are counted as things happen."""


def _family(name: str, values: Labelled) -> Family:
    metric = BY_NAME[name]
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    family = kind(name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family
