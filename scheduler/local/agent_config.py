"""What an agent is told before it starts."""

from pathlib import Path

from attrs import field, frozen

from scheduler.local.resources import Bundle, JsonObject, make_bundle
from scheduler.local.timing import Timing


@frozen
class AgentConfig:
    """What an agent has and says about itself."""

    hostname: str = "127.0.0.1"
    port: int = 0
    cpus: float = 4.0
    mem_mib: float = 4096.0
    disk_mib: float = 20_000.0
    ports: tuple[tuple[int, int], ...] | None = None
    """Ports for tasks; None: the cluster gives it a block that no other agent here has."""
    attributes: dict[str, str | float | tuple[tuple[int, int], ...]] = field(factory=dict)
    region: str | None = None
    zone: str | None = None
    is_virtual: bool = False

    def resources(self) -> Bundle:
        """Return its resources."""
        return make_bundle(self.cpus, self.mem_mib, self.disk_mib, self.ports or ())

    def info(self, port: int) -> JsonObject:
        """Return its AgentInfo, without the id."""
        info: JsonObject = {
            "hostname": self.hostname,
            "port": port,
            "resources": self.resources().to_json(),
            "attributes": [_attribute(n, v) for n, v in self.attributes.items()],
            "checkpoint": True,
        }
        if self.region is not None:
            info["domain"] = make_domain(self.region, self.zone or self.region)
        return info


def make_domain(region: str, zone: str) -> JsonObject:
    """Return a DomainInfo."""
    return {"fault_domain": {"region": {"name": region}, "zone": {"name": zone}}}


def _attribute(name: str, value: str | float | tuple[tuple[int, int], ...]) -> JsonObject:
    if isinstance(value, str):
        return {"name": name, "type": "TEXT", "text": {"value": value}}
    if isinstance(value, tuple):
        spans = [{"begin": begin, "end": end} for begin, end in value]
        return {"name": name, "type": "RANGES", "ranges": {"range": spans}}
    return {"name": name, "type": "SCALAR", "scalar": {"value": float(value)}}


@frozen
class AgentSettings:
    """What all agents of a cluster share."""

    executor_command: tuple[str, ...]
    work_dir: Path
    mark: str
    docker: str | None = None
    timing: Timing = Timing()
