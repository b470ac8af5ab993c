"""List every metric there is: name, kind, labels, unit and meaning. Nothing else declares one.

No label takes values without bound: never an app, a task, an instance or an agent.
"""

from enum import StrEnum

from attrs import frozen


class MetricKind(StrEnum):
    """Prometheus's types that we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@frozen
class Metric:
    """One metric family."""

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


def _counter(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"egret_{name}_total", MetricKind.COUNTER, unit, meaning, labels)


def _gauge(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"egret_{name}", MetricKind.GAUGE, unit, meaning, labels)


def _histogram(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"egret_{name}", MetricKind.HISTOGRAM, unit, meaning, labels)


CATALOG: tuple[Metric, ...] = (
    # Leadership and the process
    _gauge("leader", "0 or 1", "1 while this process leads"),
    _gauge("epoch", "number", "term of the present leader; 0 while this process does not lead"),
    _gauge(
        "loop_lag_seconds",
        "seconds",
        "how late the event loop was at the last look, once a second: all work shares this loop",
    ),
    _histogram("loop_lag_peak_seconds", "seconds", "the same as a distribution"),
    _gauge("inbox_events", "events", "events that wait to be handled"),
    # Store
    _histogram("store_commit_seconds", "seconds", "time of a successful commit, repeats included"),
    _histogram("store_commit_records", "records", "records of a commit"),
    _counter("store_commit_failures", "attempts", "attempts to commit that failed or stay unknown"),
    _gauge("store_degraded", "0 or 1", "1 while the last attempt to commit has failed"),
    # Mesos
    _gauge("mesos_connected", "0 or 1", "1 while Mesos has us subscribed"),
    _counter("mesos_events", "events", "events received, by type", "type"),
    _counter("mesos_calls", "calls", "calls made, by type and outcome", "type", "outcome"),
    _counter(
        "mesos_problems", "problems", "events that could not be read, refusals, by kind", "kind"
    ),
    _counter("offers_received", "offers", "offers received"),
    _counter("offers_used", "offers", "offers accepted to launch tasks"),
    _counter("offers_declined", "offers", "offers declined"),
    _gauge("offers_held", "offers", "offers at hand"),
    _gauge("offers_suppressed", "0 or 1", "1 while we asked for no offers, because nothing waits"),
    # Tasks
    _counter("launches", "tasks", "tasks sent to be launched"),
    _counter("launches_refused", "tasks", "tasks whose launch was refused or never sent"),
    _counter("kills", "calls", "kills sent, repeats included"),
    _counter("task_updates", "updates", "status updates received, by Mesos state", "state"),
    _histogram(
        "submit_to_running_seconds",
        "seconds",
        "from the decision that an instance is wanted until its first task runs",
    ),
    _histogram("launch_to_running_seconds", "seconds", "from the launch of a task until it runs"),
    _gauge("instances", "instances", "instances by condition", "condition"),
    _gauge("unknown_tasks", "tasks", "tasks that Mesos reports for us and that we do not know"),
    _counter(
        "illegal_transitions", "signals", "signals that no instance in that condition should get"
    ),
    # Apps and deployments
    _gauge("apps", "apps", "apps that exist"),
    _gauge("deployments", "deployments", "deployments under way"),
    _gauge(
        "deployments_blocked",
        "apps",
        "apps whose deployments wait, by what for; of 1,000 and more some may not be looked at",
        "reason",
    ),
    _counter("deployments_started", "deployments", "deployments begun"),
    _counter("deployments_finished", "deployments", "deployments that ended, by result", "result"),
    _gauge("queue_instances", "instances", "instances that wait to be launched"),
    _gauge("queue_classes", "app versions", "app versions that have an instance to launch"),
    _gauge("backoff_classes", "app versions", "app versions held back by their launch delay"),
    _gauge("backoff_longest_seconds", "seconds", "longest time until a held back launch may go on"),
    # Health
    _gauge("health_checks", "checks", "checks of running tasks that are probed from here"),
    _gauge("health_probes_in_flight", "probes", "probes under way"),
    _gauge("health_probe_lag_seconds", "seconds", "how long the most overdue probe has waited"),
    _counter("health_probes", "probes", "probes carried out, by result", "result"),
    _gauge("health_failing_instances", "instances", "instances whose checks fail after a success"),
    _gauge(
        "health_brake",
        "0 or 1",
        "1 while so many checks fail at once that nothing is killed for it",
    ),
    _counter("unhealthy_kills", "tasks", "tasks ended because their checks failed"),
    # Discovery
    _gauge("consul_synced", "0 or 1", "1 while Consul holds what it should, as far as we know"),
    _gauge("consul_lag_seconds", "seconds", "age of the oldest change that Consul does not hold"),
    _gauge("consul_registrations", "registrations", "registrations that Consul should hold"),
    _counter("consul_failures", "calls", "calls to Consul that failed"),
    _counter(
        "deregister_timeouts",
        "tasks",
        "tasks killed though Consul had not confirmed that they are deregistered",
    ),
    # API
    _counter(
        "api_requests",
        "requests",
        "requests answered, by method, route template and status",
        "method",
        "route",
        "status",
    ),
    _counter(
        "api_connections_cut",
        "connections",
        "connections ended: a request not there in time (late), too many from an address (crowd)",
        "reason",
    ),
    _histogram("api_request_seconds", "seconds", "time to answer a request", "method", "route"),
)

BY_NAME = {metric.name: metric for metric in CATALOG}


def table() -> str:
    """Write the catalog as the Markdown table of docs/metrics.md."""
    lines = ["| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for metric in CATALOG:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(
            f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.meaning} |"
        )
    return "\n".join(lines) + "\n"
