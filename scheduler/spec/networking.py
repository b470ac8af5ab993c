"""Translate how an app's networks and ports are written into the one form that is kept.

Three generations of spellings are read: ``networks`` with ``portDefinitions`` or
``container.portMappings`` (Marathon 1.5), ``container.docker.network`` and ``docker.portMappings``
(before), ``ipAddress`` (before that). Marathon page: "Networking".
"""

from attrs import evolve, frozen

from scheduler.core.app import Network, NetworkMode, PortDefinition, PortMapping
from scheduler.spec.problems import Problem
from scheduler.spec.rules import SpecRules
from scheduler.spec.wire import WireApp, WireContainer, WirePortMapping

_DEFAULT_DEFINITIONS = (PortDefinition(name="default"),)
_DEFAULT_MAPPINGS = (PortMapping(name="default"),)
_DOCKER_MODES = {
    "HOST": NetworkMode.HOST,
    "BRIDGE": NetworkMode.BRIDGE,
    "USER": NetworkMode.CONTAINER,
}
Pairs = tuple[tuple[str, str], ...]


@frozen
class Networking:
    """``definitions`` is None for container networks, ``mappings`` for the host's."""

    networks: tuple[Network, ...]
    definitions: tuple[PortDefinition, ...] | None
    mappings: tuple[PortMapping, ...] | None


def pairs(labels: dict[str, str] | None) -> Pairs:
    """Keep a map as pairs sorted by key: one form for one meaning."""
    return tuple(sorted((labels or {}).items()))


def read_networking(wire: WireApp, rules: SpecRules, problems: list[Problem]) -> Networking:
    """Decide networks and ports from all the places that may name them."""
    networks = _networks(wire, rules, problems)
    if all(network.mode is NetworkMode.HOST for network in networks):
        definitions = _definitions(wire, problems)
        return Networking(
            networks, _DEFAULT_DEFINITIONS if definitions is None else definitions, None
        )
    # An app that moves from the host's network keeps at least as many ports as it had.
    wanted = len(_definitions(wire, problems) or ())
    given = _mappings(wire, problems)
    mappings = given or _DEFAULT_MAPPINGS if given is None or wanted else given
    mappings += tuple(PortMapping() for _ in range(wanted - len(mappings)))
    if any(network.mode is NetworkMode.BRIDGE for network in networks):
        mappings = tuple(
            evolve(mapping, host_port=0) if mapping.host_port is None else mapping
            for mapping in mappings
        )
    return Networking(networks, None, mappings)


# ------------------------------------------------------------------------ networks


def _networks(wire: WireApp, rules: SpecRules, problems: list[Problem]) -> tuple[Network, ...]:
    docker = wire.container.docker if wire.container else None
    docker_mode = docker.network if docker else None
    if wire.networks and docker_mode:
        problems.append(Problem("/", "must not specify both container.docker.network and networks"))
    if wire.networks and wire.ip_address:
        problems.append(Problem("/", "must not specify both networks and ipAddress"))
    found = _canonical(wire) or _translated(wire, docker_mode, rules, problems) or (Network(),)
    return tuple(
        evolve(network, name=rules.default_network_name)
        if network.mode is NetworkMode.CONTAINER and network.name is None
        else network
        for network in found
    )


def _canonical(wire: WireApp) -> tuple[Network, ...]:
    return tuple(
        Network(_mode_of(network.mode), network.name, pairs(network.labels))
        for network in wire.networks or ()
    )


def _mode_of(text: str | None) -> NetworkMode:
    # Absent means "container"; a word that is no mode has been reported as such.
    return NetworkMode(text) if text in set(NetworkMode) else NetworkMode.CONTAINER


def _translated(
    wire: WireApp, docker_mode: str | None, rules: SpecRules, problems: list[Problem]
) -> tuple[Network, ...]:
    if docker_mode == "NONE":
        problems.append(
            Problem("/container/docker/network", "unsupported docker network type NONE")
        )
        return ()
    mode = _DOCKER_MODES.get(docker_mode) if docker_mode else None
    address = wire.ip_address
    if address is None:
        return () if mode is None else (Network(mode),)
    if mode is None and address.network_name == rules.mesos_bridge_name:
        mode = NetworkMode.BRIDGE
    mode = mode or NetworkMode.CONTAINER
    name = address.network_name if mode is NetworkMode.CONTAINER else None
    labels = () if mode is NetworkMode.HOST else pairs(address.labels)
    return (Network(mode, name, labels),)


# --------------------------------------------------------------------------- ports


def _definitions(wire: WireApp, problems: list[Problem]) -> tuple[PortDefinition, ...] | None:
    if wire.ip_address and (wire.ports or wire.port_definitions):
        problems.append(Problem("/", "cannot specify both an IP address and port"))
    if wire.port_definitions is None:
        return None if wire.ports is None else tuple(PortDefinition(port) for port in wire.ports)
    if wire.ports is not None and wire.ports != tuple(d.port or 0 for d in wire.port_definitions):
        problems.append(Problem("/", "cannot specify both ports and port definitions"))
    return tuple(
        PortDefinition(given.port or 0, given.name, given.protocol or "tcp", pairs(given.labels))
        for given in wire.port_definitions
    )


def _mappings(wire: WireApp, problems: list[Problem]) -> tuple[PortMapping, ...] | None:
    container = wire.container or WireContainer()
    given, path = container.port_mappings, "/container/portMappings"
    old = container.docker.port_mappings if container.docker else None
    if given and old:
        problems.append(Problem(path, "cannot specify both portMappings and docker.portMappings"))
    found = given or old if old is not None else given
    discovered = _discovery_ports(wire, container, problems)
    if discovered and found:
        problems.append(Problem(path, "and ipAddress.discovery.ports must not both be set"))
    mappings = None if found is None else tuple(_mapping(mapping) for mapping in found)
    return discovered or mappings


def _mapping(given: WirePortMapping) -> PortMapping:
    return PortMapping(
        container_port=given.container_port or 0,
        host_port=given.host_port,
        service_port=given.service_port or 0,
        name=given.name,
        protocol=given.protocol or "tcp",
        labels=pairs(given.labels),
        network_names=given.network_names or (),
    )


def _discovery_ports(
    wire: WireApp, container: WireContainer, problems: list[Problem]
) -> tuple[PortMapping, ...]:
    discovery = wire.ip_address.discovery if wire.ip_address else None
    if discovery is None or not discovery.ports:
        return ()
    if wire.container is not None and container.type != "MESOS":
        problems.append(
            Problem("/ipAddress", "ipAddress/discovery is not allowed for Docker containers")
        )
        return ()
    return tuple(
        PortMapping(
            container_port=port.number or 0,
            name=port.name,
            protocol=port.protocol or "tcp",
            labels=pairs(port.labels),
        )
        for port in discovery.ports
    )
