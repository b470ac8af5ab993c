"""Decide under which service names an app's ports are registered, and with which tags and meta.

Three sources, the most explicit first: the app field ``discovery`` (Egret's extension), the labels
of marathon-consul, and the default of ``--discovery-default``. The result depends on the spec
alone, so it is worked out once for each version of an app.
"""

import re
from enum import StrEnum

from attrs import frozen

from scheduler.core.app import AppSpec, DiscoveryService
from scheduler.core.ids import AppId, app_path_of
from scheduler.discovery.entry import META_PREFIX

CONSUL_LABEL = "consul"
TAG_LABEL_VALUE = "tag"
FABIO_PREFIX = "urlprefix-"
NAME_CHARS_MAX = 128
META_KEY_CHARS_MAX = 128
META_VALUE_CHARS_MAX = 512
META_PAIRS_MAX = 48
"""Consul takes 64 pairs; the rest is for our own."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_BAD_NAME = f"a service name has letters, digits, '.', '_' and '-', at most {NAME_CHARS_MAX}"
_META_KEY = re.compile(r"[A-Za-z0-9_-]+")


class DefaultDiscovery(StrEnum):
    """What is registered for an app that has no field ``discovery`` (--discovery-default)."""

    ALL = "all"
    """Every port of every app, unless labels choose otherwise."""
    LABELLED = "labelled"
    """Apps with marathon-consul's label ``consul``."""
    OFF = "off"


@frozen
class Port:
    """A port of the app as far as naming goes."""

    index: int
    name: str | None
    labels: tuple[tuple[str, str], ...]


@frozen
class PlannedService:
    """One service of the app: which port, under which name, with what beside it."""

    port_index: int
    key: str
    """Tells the services of one task apart: the end of the ServiceID."""
    name: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]


@frozen
class Refusal:
    """A service that is not registered though the app asks for it, and why."""

    app_id: AppId
    name: str
    reason: str


@frozen
class Plan:
    services: tuple[PlannedService, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def plan_of(spec: AppSpec, default: DefaultDiscovery) -> Plan:
    """Plan the services of an app; every problem is a refusal, the other services stand."""
    ports = _ports_of(spec)
    discovery = spec.discovery
    if discovery is not None and not discovery.enabled:
        return Plan()
    if discovery is not None and discovery.services:
        return _checked(spec, _from_extension(spec, discovery.services, ports))
    if discovery is None and default is DefaultDiscovery.OFF:
        return Plan()
    if CONSUL_LABEL in spec.label_map:
        return _checked(spec, _from_labels(spec, ports))
    if discovery is None and default is DefaultDiscovery.LABELLED:
        return Plan()
    return _checked(spec, _from_default(spec, ports))


def default_name(app_id: AppId) -> str:
    """Name an app's first port: ``/shop/web`` gives ``shop-web``."""
    return app_path_of(app_id, separator="-")


def clean_tag(tag: str) -> str:
    """Take out of a tag what breaks its readers; the rest stays as it was written.

    A quote in any tag ends fabio's table updates (fabio issue 727), and it joins all tags but its
    own with commas; in a ``urlprefix-`` tag commas belong to the options and stay.

    >>> clean_tag('say "hi", you')
    'say hi_ you'
    """
    kept = "".join(char for char in tag if char.isprintable() and char not in "\"'`")
    return kept if kept.startswith(FABIO_PREFIX) else kept.replace(",", "_")


def _ports_of(spec: AppSpec) -> tuple[Port, ...]:
    if spec.uses_host_network:
        definitions = spec.port_definitions or ()
        return tuple(Port(i, each.name, each.labels) for i, each in enumerate(definitions))
    mappings = spec.container.port_mappings if spec.container else ()
    return tuple(Port(i, each.name, each.labels) for i, each in enumerate(mappings))


def _from_default(spec: AppSpec, ports: tuple[Port, ...]) -> Plan:
    base = default_name(spec.id)
    tags = _label_tags(spec.labels)
    services = tuple(
        PlannedService(
            port_index=port.index,
            key=str(port.index),
            name=base if port.index == 0 else f"{base}-{port.name or port.index}",
            tags=tags + _label_tags(port.labels),
            meta=(),
        )
        for port in ports
    )
    return Plan(services)


def _from_labels(spec: AppSpec, ports: tuple[Port, ...]) -> Plan:
    """Follow marathon-consul: one label opts the app in, further ones choose its ports."""
    base = app_path_of(spec.id, separator=".")
    tags = _label_tags(spec.labels)
    chosen = [port for port in ports if CONSUL_LABEL in dict(port.labels)]
    named = [(port, dict(port.labels)[CONSUL_LABEL]) for port in chosen]
    if not chosen:
        named = [(port, spec.label_map[CONSUL_LABEL]) for port in ports[:1]]
    services = tuple(
        PlannedService(
            port_index=port.index,
            key=str(port.index),
            name=base if name in {"", "true"} else name,
            tags=tags + _label_tags(port.labels),
            meta=(),
        )
        for port, name in named
    )
    return Plan(services)


def _from_extension(
    spec: AppSpec, wanted: tuple[DiscoveryService, ...], ports: tuple[Port, ...]
) -> Plan:
    services: list[PlannedService] = []
    refusals: list[Refusal] = []
    for position, service in enumerate(wanted):
        port = _chosen_port(service, ports)
        if port is None:
            refusals.append(Refusal(spec.id, service.name, "the app has no such port"))
            continue
        # The same port may be registered under several names: the position tells them apart.
        services.append(
            PlannedService(
                port_index=port.index,
                key=f"{port.index}.{position}",
                name=service.name,
                tags=service.tags,
                meta=service.meta,
            )
        )
    return Plan(tuple(services), tuple(refusals))


def _chosen_port(service: DiscoveryService, ports: tuple[Port, ...]) -> Port | None:
    if service.port_name is not None:
        return next((port for port in ports if port.name == service.port_name), None)
    index = service.port_index or 0
    return ports[index] if 0 <= index < len(ports) else None


def _label_tags(labels: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """marathon-consul: a label whose value is ``tag`` makes its name a tag."""
    return tuple(name for name, value in labels if value == TAG_LABEL_VALUE)


def _checked(spec: AppSpec, plan: Plan) -> Plan:
    """Refuse names that Consul's users can not use; make tags and meta safe."""
    services: list[PlannedService] = []
    refusals = list(plan.refusals)
    for service in plan.services:
        if len(service.name) > NAME_CHARS_MAX or not _NAME.fullmatch(service.name):
            refusals.append(Refusal(spec.id, service.name, _BAD_NAME))
            continue
        services.append(
            PlannedService(
                port_index=service.port_index,
                key=service.key,
                name=service.name,
                tags=tuple(dict.fromkeys(filter(None, map(clean_tag, service.tags)))),
                meta=_clean_meta(service.meta),
            )
        )
    return Plan(tuple(services), tuple(refusals))


def _clean_meta(meta: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Keep what Consul takes; one bad pair would have it refuse the whole registration."""
    kept = [
        (key, value[:META_VALUE_CHARS_MAX])
        for key, value in meta
        if len(key) <= META_KEY_CHARS_MAX
        and _META_KEY.fullmatch(key)
        and not key.startswith(META_PREFIX)
    ]
    return tuple(kept[:META_PAIRS_MAX])
