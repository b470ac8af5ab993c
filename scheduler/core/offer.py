"""Describe what Mesos offers: free resources of one agent, by role, and where the agent is."""

from attrs import field, frozen

from scheduler.core.ids import AgentId, OfferId

UNRESERVED = "*"
"""Role of resources that no framework has reserved."""


@frozen
class PortRange:
    """Ports ``begin`` to ``end``, both included."""

    begin: int
    end: int


@frozen
class Pool:
    """Resources of one reservation role within an offer (or a task): exact integers.

    ``role`` is ``*`` for unreserved ones, else the role they are statically or dynamically
    reserved for. Revocable resources, shared ones and disks with a source or a persistent volume
    are left out by the reader of the event: they are not what a plain task may use.
    """

    role: str = UNRESERVED
    cpus_milli: int = 0
    mem_mib: int = 0
    disk_mib: int = 0
    gpus: int = 0
    ports: tuple[PortRange, ...] = ()
    reservation: str = ""
    """The reservation as it must be echoed to Mesos: canonical JSON of ``reservations``."""


@frozen
class Agent:
    """Where an agent is. Stored with the first task placed there, so that constraints can be
    judged when the agent offers nothing. Attribute values are text as Marathon compares them.
    """

    id: AgentId
    host: str
    attributes: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    zone: str | None = None

    def value_of(self, name: str) -> str | None:
        """Read what a constraint's field means here; None if the agent has no such thing."""
        match name:
            case "hostname" | "@hostname":
                return self.host
            case "@region":
                return self.region
            case "@zone":
                return self.zone
            case _:
                return dict(self.attributes).get(name)


@frozen
class Offer:
    id: OfferId
    agent: Agent
    role: str
    """Role the offer is allocated to (``allocation_info.role``)."""
    pools: tuple[Pool, ...]
    unavailable_from_ms: int | None = None
    """Start of the agent's announced maintenance, epoch ms; None if none is announced."""
    unavailable_for_ms: int | None = None
    address: str = field(default="", eq=False)
    """IP address of the agent as told by ``url.address``; empty if the offer has none."""
