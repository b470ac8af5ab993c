"""Give apps the service ports they leave open: the numbers load balancers offer them under.

A service port of 0 is replaced by one from a range that belongs to Egret alone
(``Settings.service_ports``), unique across all apps. An app that leaves a port open again keeps
the one it had in that place. Ports that an app names itself are its own business: two apps may
name the same, as Marathon 1.11 lets them (many do, who take it for the port in their container).
Source: Marathon, ``AssignDynamicServiceLogic``; page "Service discovery": service ports.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from attrs import evolve

from scheduler.core.app import AppSpec
from scheduler.core.effects import Refusal, Rejected
from scheduler.core.events import Upsert
from scheduler.core.ids import AppId


class ServicePorts:
    """The service ports of all apps as they are wanted now; kept by ``World.apply``."""

    __slots__ = ("_uses", "of_app")

    def __init__(self) -> None:
        self.of_app: dict[AppId, tuple[int, ...]] = {}
        """Ports of each app that has any."""
        self._uses: Counter[int] = Counter()

    def __contains__(self, port: object) -> bool:
        return port in self._uses

    def set(self, app_id: AppId, ports: Iterable[int]) -> None:
        """Let an app hold these ports and no others."""
        for port in self.of_app.pop(app_id, ()):
            self._uses[port] -= 1
            if not self._uses[port]:
                del self._uses[port]
        held = tuple(port for port in ports if port)
        if held:
            self.of_app[app_id] = held
            self._uses.update(held)


def service_ports(spec: AppSpec) -> tuple[int, ...]:
    """List the service ports of an app in the order of its ports; 0 is one not yet given."""
    if spec.port_definitions is not None:
        return tuple(definition.port for definition in spec.port_definitions)
    mappings = spec.container.port_mappings if spec.container else ()
    return tuple(mapping.service_port for mapping in mappings)


def assign(
    upserts: tuple[Upsert, ...],
    held: ServicePorts,
    present: Callable[[AppId], AppSpec | None],
    first: int,
    last: int,
) -> tuple[Upsert, ...] | Rejected:
    """Fill in every open service port of the definitions of one change.

    Args:
        upserts: the definitions to be set; nothing of them is stored yet.
        held: who holds what now.
        present: gives the definition that an app has now.
        first: lowest port to give.
        last: highest port to give.

    Returns: the same upserts without open ports, or that there are not enough ports left. Each
    port of the range is looked at once at most, whatever the number of apps.
    """
    if not any(_is_open(upsert.spec) for upsert in upserts):
        return upserts
    given = {port for upsert in upserts for port in service_ports(upsert.spec)}
    free = (port for port in range(first, last + 1) if port not in held and port not in given)
    try:
        return tuple(
            evolve(upsert, spec=_filled(upsert.spec, present(upsert.spec.id), free, first, last))
            if _is_open(upsert.spec)
            else upsert
            for upsert in upserts
        )
    except _ExhaustedError as error:
        message = f"All service ports from {first} to {last} are taken"
        return Rejected(Refusal.INVALID, error.args[0], message)


class _ExhaustedError(Exception):
    """No port is left for the field named."""


def _is_open(spec: AppSpec) -> bool:
    # With requirePorts the number is the agent's port, too: open means any that is offered.
    return not spec.require_ports and 0 in service_ports(spec)


def _filled(
    spec: AppSpec, before: AppSpec | None, free: Iterator[int], first: int, last: int
) -> AppSpec:
    ports = list(service_ports(spec))
    known = () if before is None or before.require_ports else service_ports(before)
    kept = [
        port if first <= port <= last and port not in (*ports, *known[:index]) else 0
        for index, port in enumerate(known)
    ]
    for index, port in enumerate(ports):
        if not port and index < len(kept) and kept[index]:
            ports[index], kept[index] = kept[index], 0
    spare = iter([port for port in kept if port])
    for index, port in enumerate(ports):
        if not port:
            ports[index] = next(spare, 0) or next(free, 0)
            if not ports[index]:
                raise _ExhaustedError(_path_of(spec))
    return _with_ports(spec, ports)


def _path_of(spec: AppSpec) -> str:
    on_host = spec.port_definitions is not None
    return "/portDefinitions" if on_host else "/container/portMappings"


def _with_ports(spec: AppSpec, ports: list[int]) -> AppSpec:
    if spec.port_definitions is not None:
        pairs = zip(spec.port_definitions, ports, strict=True)
        definitions = tuple(evolve(definition, port=port) for definition, port in pairs)
        return evolve(spec, port_definitions=definitions)
    assert spec.container is not None
    mapped = zip(spec.container.port_mappings, ports, strict=True)
    mappings = tuple(evolve(mapping, service_port=port) for mapping, port in mapped)
    return evolve(spec, container=evolve(spec.container, port_mappings=mappings))
