"""Hold what this scheduler allows in a definition; set once, at start."""

from attrs import frozen

FEATURE_GPUS = "gpu_resources"


@frozen
class SpecRules:
    """Limits and defaults for reading definitions; the names of features are Marathon's."""

    default_role: str = "*"
    features: frozenset[str] = frozenset()
    containerizers: frozenset[str] = frozenset({"MESOS", "DOCKER"})
    default_network_name: str | None = None
    """Name for a container network that gives none (Marathon: default_network_name)."""
    mesos_bridge_name: str = "mesos-bridge"
    instances_max: int = 100_000
    """Most instances of one app: a slip of the finger must not exhaust the scheduler."""
    allows_group_roles: bool = False
    """Whether an app may use its top-level group's name as role."""
