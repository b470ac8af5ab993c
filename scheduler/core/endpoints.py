"""Say where an instance's ports are reached: the one answer for health checks and discovery.

A port that has a host port is reached at the agent, whatever the network mode; a container's port
without one is reached at the container's own address. Marathon pages "Networking" and "Health
Checks" (``portIndex`` counts the ports of the app, not the host ports of the task).
"""

from attrs import frozen

from scheduler.core.app import AppSpec, NetworkMode
from scheduler.core.instance import Instance


@frozen
class Endpoint:
    """One port of an app's instance; ``address`` and ``port`` are None while nobody knows them."""

    index: int
    """Position among the app's ports: the ``portIndex`` of the API."""
    name: str | None
    protocol: str
    """``tcp``, ``udp`` or both, written ``udp,tcp``."""
    labels: tuple[tuple[str, str], ...]
    address: str | None
    port: int | None


def agent_address(instance: Instance) -> str | None:
    """Address of the agent: its IP where the offer told one, else its host name."""
    if instance.placement is None:
        return None
    return instance.placement.address or instance.placement.host


def task_address(instance: Instance, spec: AppSpec) -> str | None:
    """Address of the task itself: the container's on a container network, else the agent's."""
    if any(network.mode is NetworkMode.CONTAINER for network in spec.networks):
        return instance.addresses[0] if instance.addresses else None
    return agent_address(instance)


def endpoints_of(instance: Instance, spec: AppSpec) -> tuple[Endpoint, ...]:
    """List the app's ports in order, with the place where this instance serves each."""
    host_ports = instance.placement.host_ports if instance.placement else ()
    at_agent = agent_address(instance)
    if spec.uses_host_network:
        return tuple(
            Endpoint(
                index=index,
                name=definition.name,
                protocol=definition.protocol,
                labels=definition.labels,
                address=at_agent,
                port=host_ports[index] if index < len(host_ports) else None,
            )
            for index, definition in enumerate(spec.port_definitions or ())
        )
    mappings = spec.container.port_mappings if spec.container else ()
    # Only mappings with a host port took one, in their order.
    taken = iter(host_ports)
    in_container = task_address(instance, spec)
    endpoints: list[Endpoint] = []
    for index, mapping in enumerate(mappings):
        is_at_agent = mapping.host_port is not None
        endpoints.append(
            Endpoint(
                index=index,
                name=mapping.name,
                protocol=mapping.protocol,
                labels=mapping.labels,
                address=at_agent if is_at_agent else in_container,
                port=next(taken, None) if is_at_agent else mapping.container_port or None,
            )
        )
    return tuple(endpoints)
