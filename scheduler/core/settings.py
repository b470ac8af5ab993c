"""Collect the limits and time-outs that the core decides by; set once, at start.

Defaults follow Marathon 1.11's flags where there is one of the same meaning.
"""

from attrs import frozen


@frozen
class Settings:
    launch_confirm_timeout_ms: int = 30_000
    """A launch that Mesos never mentioned is asked about after this, then again, then replaced."""
    launch_timeout_ms: int = 300_000
    """A task that does not get past STAGING/STARTING is killed (Marathon: task_launch_timeout)."""
    kill_retry_ms: int = 10_000
    """A kill without effect is sent again (Marathon: kill_retry_timeout)."""
    deregister_timeout_ms: int = 5_000
    """Longest wait for discovery before a task is killed all the same."""
    discovery: bool = False
    """Whether a discovery service is attached: without one nothing drains."""
    decline_s: float = 120.0
    """Filter of an offer that nothing waits for (Marathon: decline_offer_duration)."""
    revive_interval_ms: int = 1_000
    """At most one REVIVE in this time, unless new work has appeared."""
    reconcile_interval_ms: int = 600_000
    reconcile_batch: int = 1_000
    """Tasks named in one explicit RECONCILE."""
    reconcile_retry_ms: int = 10_000
    """First wait for the unanswered ones; doubles up to ``reconcile_retry_max_ms``."""
    reconcile_retry_max_ms: int = 120_000
    """Also the interval while the disaster brake holds."""
    deployments_max: int = 100
    service_ports: tuple[int, int] = (10_000, 20_000)
    """Lowest and highest port given to apps that leave a service port open (Marathon:
    local_port_min, local_port_max)."""
    versions_max: int = 50
    """Versions kept for each app (Marathon: zk_max_versions)."""
    ended_max: int = 10_000
    """Tombstones kept in all."""
    finished_max: int = 500
    """Outcomes of deployments kept in all."""
    accept_tasks_max: int = 500
    """Tasks launched by one ACCEPT: bounds the size of the call."""
    launches_max: int = 500
    """Tasks launched in one settle: bounds one batch's records."""
    brake_share_milli: int = 500
    """Disaster brake: with more than this share of once-healthy instances failing their checks
    the prober is suspect, with more than this share of all out of sight the network is. Then
    nothing is killed for its health or given up for its absence."""
    brake_instances_min: int = 5
    """With fewer instances than this the brake does not engage."""
    brake_agents_min: int = 3
    """Out of sight on fewer agents than this, instances are on machines that have failed."""
    brake_memory_ms: int = 600_000
    """How long instances that were given up as out of sight count for the brake."""
    brake_linger_ms: int = 120_000
    """How long the brake holds beyond its cause: longer than most checks' interval and timeout."""
    unknown_kill_max: int = 10
    """Most unknown tasks, proved to be ours and ended, that are killed without an operator."""
    roles: tuple[str, ...] = ("*",)
    """Roles the framework subscribes with."""
    executor_uri: str = ""
    """Where agents fetch Egret's own executor from; empty: nowhere."""
