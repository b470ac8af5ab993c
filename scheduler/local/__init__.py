"""The embedded cluster: a Mesos-compatible master and agents on one event loop."""

from scheduler.local.agent_config import AgentConfig
from scheduler.local.cluster import Cluster, make_agent_configs
from scheduler.local.faults import Faults
from scheduler.local.timing import Timing

__all__ = ["AgentConfig", "Cluster", "Faults", "Timing", "make_agent_configs"]
