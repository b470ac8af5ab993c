"""How fast the cluster's clocks tick; the defaults are Mesos's own."""

from attrs import frozen


@frozen
class Timing:
    """Intervals and timeouts in seconds; tests shorten what they would otherwise wait for."""

    allocation_interval_s: float = 1.0
    """How often free resources are offered."""
    heartbeat_interval_s: float = 15.0
    """How often streams get a HEARTBEAT."""
    executor_heartbeat_interval_s: float = 1800.0
    """How often the streams of executors get one."""
    agent_timeout_s: float = 75.0
    """How long a silent agent counts as reachable."""
    update_retry_s: float = 10.0
    """After what time an unacknowledged update is first sent again; then doubling."""
    executor_reregistration_timeout_s: float = 2.0
    """How long a returning agent waits for its executors."""
    virtual_start_delay_s: float = 0.0
    """How long virtual tasks take to RUNNING."""
