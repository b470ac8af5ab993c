"""Build the container of a task, its networks and what it tells service discovery.

ContainerInfo, NetworkInfo and DiscoveryInfo of mesos.proto; which of them Marathon fills in and
how: Marathon 1.11, "Networking", "Docker Containers" and "Universal Container Runtime".
"""

from attrs import frozen

from scheduler.core.app import (
    AppSpec,
    Container,
    ContainerType,
    Docker,
    HostVolume,
    LinuxInfo,
    Network,
    NetworkMode,
    PortMapping,
    SecretVolume,
)
from scheduler.core.effects import Launch
from scheduler.core.ids import app_path_of
from scheduler.mesos.framework import JsonObject, labels
from scheduler.mesos.task_env import secret_reference

BRIDGE_NETWORK = "mesos-bridge"
"""CNI network that stands for the bridge in Mesos containers (Marathon: mesos_bridge_name)."""


@frozen
class MappedPort:
    """A port mapping of one task: which host port, if any, leads to which container port."""

    mapping: PortMapping
    host_port: int | None
    container_port: int

    @property
    def protocols(self) -> list[str]:
        """``udp,tcp`` is two protocols."""
        return self.mapping.protocol.split(",")


def mapped_ports(launch: Launch) -> list[MappedPort]:
    """Pair the container's ports with the host ports given; container port 0 copies the host's."""
    container = launch.spec.container
    placement = launch.instance.placement
    if launch.spec.uses_host_network or container is None:
        return []
    given = iter(placement.host_ports if placement else ())
    pairs: list[MappedPort] = []
    for mapping in container.port_mappings:
        host_port = next(given) if mapping.host_port is not None else None
        pairs.append(MappedPort(mapping, host_port, mapping.container_port or host_port or 0))
    return pairs


def container_info(launch: Launch) -> JsonObject | None:
    """Build the ContainerInfo; None for a plain process on the host's network."""
    spec = launch.spec
    container = spec.container
    if container is None and spec.uses_host_network and not spec.tty:
        return None
    container = container or Container(type=ContainerType.MESOS)
    info: JsonObject = {"type": container.type.value}
    if container.volumes:
        info["volumes"] = [_volume(volume, dict(spec.secrets)) for volume in container.volumes]
    if container.docker is not None and container.type is ContainerType.DOCKER:
        info["docker"] = _docker_info(container.docker, launch)
    elif container.docker is not None:
        info["mesos"] = {"image": _image(container.docker, dict(spec.secrets))}
    networks = _network_infos(launch, container)
    if networks:
        info["network_infos"] = networks
    if container.linux_info is not None:
        info["linux_info"] = _linux_info(container.linux_info)
    if spec.tty:
        info["tty_info"] = {}
    return info


def discovery_info(launch: Launch) -> JsonObject:
    """Build the DiscoveryInfo: a port for each protocol and network it can be reached on."""
    spec = launch.spec
    placement = launch.instance.placement
    at_host = (("network-scope", "host"),)
    given = placement.host_ports if placement and spec.uses_host_network else ()
    ports = [
        _port(number, definition.name, protocol, definition.labels + at_host)
        for definition, number in zip(spec.port_definitions or (), given, strict=False)
        for protocol in definition.protocol.split(",")
    ]
    for port in mapped_ports(launch):
        ports.extend(_mapped_discovery(port, spec))
    return {
        "visibility": "FRAMEWORK",
        "name": reversed_path(spec),
        "ports": {"ports": ports},
    }


def reversed_path(spec: AppSpec) -> str:
    """Name the task as Marathon does: ``/shop/web`` is ``web.shop``."""
    return ".".join(reversed(app_path_of(spec.id, separator="/").split("/")))


def _mapped_discovery(port: MappedPort, spec: AppSpec) -> list[JsonObject]:
    mapping = port.mapping
    found: list[JsonObject] = []
    for protocol in port.protocols:
        if port.host_port is not None:
            scope = (("network-scope", "host"),)
            found.append(_port(port.host_port, mapping.name, protocol, mapping.labels + scope))
        for name in _networks_of(mapping, spec):
            scope = (("network-scope", "container"), ("network-name", name))
            found.append(_port(port.container_port, mapping.name, protocol, mapping.labels + scope))
    return found


def _networks_of(mapping: PortMapping, spec: AppSpec) -> tuple[str, ...]:
    """Name the container networks a mapping is for: those it names, else all."""
    return mapping.network_names or tuple(
        network.name
        for network in spec.networks
        if network.mode is NetworkMode.CONTAINER and network.name is not None
    )


def _port(
    number: int, name: str | None, protocol: str, pairs: tuple[tuple[str, str], ...]
) -> JsonObject:
    port: JsonObject = {"number": number, "protocol": protocol, "labels": labels(pairs)}
    if name is not None:
        port["name"] = name
    return port


def _port_mappings(launch: Launch) -> list[JsonObject]:
    return [
        {"host_port": port.host_port, "container_port": port.container_port, "protocol": protocol}
        for port in mapped_ports(launch)
        if port.host_port is not None
        for protocol in port.protocols
    ]


def _docker_info(docker: Docker, launch: Launch) -> JsonObject:
    info: JsonObject = {
        "image": docker.image,
        "network": _docker_network(launch.spec),
        "privileged": docker.privileged,
        "force_pull_image": docker.force_pull_image,
        "parameters": [{"key": key, "value": value} for key, value in docker.parameters],
    }
    mappings = _port_mappings(launch)
    if mappings:
        info["port_mappings"] = mappings
    return info


def _docker_network(spec: AppSpec) -> str:
    if spec.uses_host_network:
        return "HOST"
    is_bridge = any(network.mode is NetworkMode.BRIDGE for network in spec.networks)
    return "BRIDGE" if is_bridge else "USER"


def _network_infos(launch: Launch, container: Container) -> list[JsonObject]:
    """List the networks to join. Docker's own bridge is not one of Mesos's."""
    spec = launch.spec
    if container.type is ContainerType.DOCKER:
        return [
            _network_info(network)
            for network in spec.networks
            if network.mode is NetworkMode.CONTAINER
        ]
    infos: list[JsonObject] = []
    for network in spec.networks:
        if network.mode is NetworkMode.HOST:
            continue
        info = _network_info(network)
        mappings = _port_mappings(launch)
        # The host ports lead to the first network alone: they are taken once.
        if mappings and not infos:
            info["port_mappings"] = mappings
        infos.append(info)
    return infos


def _network_info(network: Network) -> JsonObject:
    is_bridge = network.mode is NetworkMode.BRIDGE
    info: JsonObject = {"name": BRIDGE_NETWORK if is_bridge else network.name}
    if network.labels:
        info["labels"] = labels(network.labels)
    return info


def _image(docker: Docker, sources: dict[str, str]) -> JsonObject:
    """Name an image for the universal containerizer; "cached" is the opposite of a forced pull."""
    inner: JsonObject = {"name": docker.image}
    if docker.pull_config_secret is not None:
        inner["config"] = secret_reference(sources[docker.pull_config_secret])
    return {"type": "DOCKER", "docker": inner, "cached": not docker.force_pull_image}


def _volume(volume: HostVolume | SecretVolume, sources: dict[str, str]) -> JsonObject:
    if isinstance(volume, HostVolume):
        return {
            "container_path": volume.container_path,
            "host_path": volume.host_path,
            "mode": volume.mode,
        }
    secret = secret_reference(sources[volume.secret])
    return {
        "container_path": volume.container_path,
        "mode": "RO",
        "source": {"type": "SECRET", "secret": secret},
    }


def _linux_info(linux: LinuxInfo) -> JsonObject:
    info: JsonObject = {"ipc_mode": linux.ipc_mode}
    if linux.shm_size_mib is not None:
        info["shm_size"] = linux.shm_size_mib
    return info
