"""Service ports: who gets which, when they are kept and when they come free."""

import pytest
from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    Container,
    ContainerType,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
)
from scheduler.core.effects import Refusal, Rejected
from scheduler.core.events import Upsert
from scheduler.core.ids import AppId
from scheduler.core.service_ports import ServicePorts, assign, service_ports

A, B, C = AppId("/a"), AppId("/b"), AppId("/c")


def on_host(app_id, *ports, **more):
    return AppSpec(id=app_id, port_definitions=tuple(PortDefinition(p) for p in ports), **more)


def mapped(app_id, *ports):
    mappings = tuple(PortMapping(container_port=80, service_port=port) for port in ports)
    container = Container(type=ContainerType.MESOS, port_mappings=mappings)
    networks = (Network(NetworkMode.BRIDGE),)
    return AppSpec(id=app_id, container=container, networks=networks, port_definitions=None)


class Town:
    """Apps with their service ports, set as a world would."""

    def __init__(self, first=10_000, last=10_003):
        self.bounds = (first, last)
        self.held = ServicePorts()
        self.specs = {}

    def set(self, *specs):
        upserts = tuple(Upsert(spec, None) for spec in specs)
        done = assign(upserts, self.held, self.specs.get, *self.bounds)
        if isinstance(done, Rejected):
            return done
        for upsert in done:
            self.specs[upsert.spec.id] = upsert.spec
            self.held.set(upsert.spec.id, service_ports(upsert.spec))
        return [service_ports(upsert.spec) for upsert in done]


def test_open_ports_get_the_lowest_that_are_free():
    assert Town().set(on_host(A, 0, 0), mapped(B, 0)) == [(10_000, 10_001), (10_002,)]


def test_ports_that_other_apps_of_the_same_change_name_are_not_given_away():
    assert Town().set(on_host(A, 0), mapped(B, 10_000)) == [(10_001,), (10_000,)]


@pytest.mark.parametrize(
    ("before", "after", "ports"),
    [
        ((0, 0), (0, 0), (10_000, 10_001)),
        ((0, 0), (80, 0), (80, 10_001)),
        ((0, 0), (10_001, 0), (10_001, 10_000)),
        ((0,), (0, 0), (10_000, 10_001)),
        ((80,), (0,), (10_000,)),
    ],
)
def test_an_app_keeps_the_ports_it_had_place_by_place(before, after, ports):
    town = Town()
    town.set(mapped(A, *before))
    assert town.set(mapped(A, *after)) == [ports]


def test_an_app_that_moves_to_a_container_network_keeps_its_port():
    town = Town()
    town.set(on_host(A, 0))
    assert town.set(mapped(A, 0)) == [(10_000,)]


def test_the_port_of_an_app_that_has_gone_is_given_again():
    town = Town()
    town.set(on_host(A, 0))
    town.set(on_host(B, 0))
    town.held.set(A, ())
    assert town.set(on_host(C, 0)) == [(10_000,)]


def test_a_port_two_apps_named_is_free_when_both_have_gone():
    town = Town()
    town.set(on_host(A, 10_000), on_host(B, 10_000))
    town.held.set(A, ())
    assert 10_000 in town.held
    town.held.set(B, ())
    assert 10_000 not in town.held


def test_required_ports_are_the_agents_and_stay_open():
    assert Town().set(on_host(A, 0, require_ports=True)) == [(0,)]


@pytest.mark.parametrize(
    ("make", "path"), [(on_host, "/portDefinitions"), (mapped, "/container/portMappings")]
)
def test_when_no_port_is_left_the_whole_change_is_refused(make, path):
    town = Town()
    refused = town.set(on_host(A, 0, 0, 0), make(B, 0, 0))
    assert refused == Rejected(
        Refusal.INVALID, path, "All service ports from 10000 to 10003 are taken"
    )
    assert town.specs == {}
    assert town.set(on_host(A, 0, 0, 0, 0)) == [(10_000, 10_001, 10_002, 10_003)]


def test_nothing_else_of_a_definition_changes():
    spec = on_host(A, 0, cmd="x", instances=3)
    done = assign((Upsert(spec, None),), ServicePorts(), {}.get, 1, 2)
    assert done == (Upsert(evolve(spec, port_definitions=(PortDefinition(1),)), None),)
