"""Where an instance's ports are reached, in each network mode."""

from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    Container,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
)
from scheduler.core.endpoints import agent_address, endpoints_of, task_address
from scheduler.core.instance import Condition, Instance
from tests.unit.core.game import instance, spec

MAPPINGS = (
    PortMapping(container_port=8080, host_port=None, name="inner"),
    PortMapping(container_port=80, host_port=0, name="outer"),
)


def placed(*host_ports: int, address: str = "10.1.1.1") -> Instance:
    one = instance(Condition.RUNNING, addresses=("172.17.0.5",))
    assert one.placement is not None
    return evolve(one, placement=evolve(one.placement, host_ports=host_ports, address=address))


def reached(one: Instance, app: AppSpec) -> list[tuple[str | None, str | None, int | None]]:
    return [(e.name, e.address, e.port) for e in endpoints_of(one, app)]


def test_on_the_agents_network_a_port_is_reached_at_the_agent() -> None:
    ports = (PortDefinition(name="a"), PortDefinition(name="b", protocol="udp"))
    app = spec(port_definitions=ports)
    assert reached(placed(31001, 31002), app) == [
        ("a", "10.1.1.1", 31001),
        ("b", "10.1.1.1", 31002),
    ]
    assert [e.protocol for e in endpoints_of(placed(31001, 31002), app)] == ["tcp", "udp"]


def test_a_containers_port_is_reached_at_the_agent_only_where_it_has_a_host_port() -> None:
    """``portIndex`` counts the ports of the app, not those that took a host port."""
    container = Container(port_mappings=MAPPINGS)
    app = spec(container=container, networks=(Network(NetworkMode.CONTAINER, "net"),))
    assert reached(placed(31001), app) == [
        ("inner", "172.17.0.5", 8080),
        ("outer", "10.1.1.1", 31001),
    ]


def test_without_an_address_the_host_name_is_used() -> None:
    assert agent_address(placed(address="")) == "host1"
    assert agent_address(instance(Condition.SCHEDULED)) is None


def test_a_container_whose_address_is_not_known_yet_is_reached_nowhere() -> None:
    app = spec(
        container=Container(port_mappings=MAPPINGS[:1]),
        networks=(Network(NetworkMode.CONTAINER, "net"),),
    )
    one = evolve(placed(), addresses=())
    assert task_address(one, app) is None
    assert reached(one, app) == [("inner", None, 8080)]


def test_an_instance_that_waits_is_reached_nowhere() -> None:
    app = spec(port_definitions=(PortDefinition(name="a"),))
    assert reached(instance(Condition.SCHEDULED), app) == [("a", None, None)]
