"""What is probed for an instance, and where."""

from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    Container,
    HealthCheck,
    HealthProtocol,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
)
from scheduler.core.ids import AgentId, AppId, InstanceId, Version
from scheduler.core.instance import CheckResult, Condition, Instance, Placement
from scheduler.health import targets_of

HTTP = HealthCheck(path="/health", port_index=1, grace_period_s=7, interval_s=2, timeout_s=1)
MESOS_HTTP = HealthCheck(protocol=HealthProtocol.MESOS_HTTP)
TCP_FIXED = HealthCheck(protocol=HealthProtocol.TCP, port=9000)
SPEC = AppSpec(
    id=AppId("/web"),
    port_definitions=(PortDefinition(name="a"), PortDefinition(name="b")),
    health_checks=(MESOS_HTTP, HTTP, TCP_FIXED),
)
INSTANCE = Instance(
    id=InstanceId("web.instance-1"),
    app_id=AppId("/web"),
    version=Version("1"),
    condition=Condition.RUNNING,
    incarnation=3,
    started_at_ms=500,
    placement=Placement(
        agent_id=AgentId("S0"),
        host="host.example",
        pools=(),
        allocated_role="*",
        host_ports=(31000, 31001),
        address="10.0.0.1",
    ),
)


def test_checks_from_here_are_listed_with_the_index_they_have_in_the_spec():
    target = targets_of(INSTANCE, SPEC)
    assert target is not None
    assert target.task_id == "web.instance-1._app.3"
    assert target.started_at_ms == 500
    http, tcp = target.checks
    assert (http.index, http.address, http.port, http.path) == (1, "10.0.0.1", 31001, "/health")
    assert (http.grace_ms, http.interval_ms, http.timeout_ms) == (7000, 2000, 1000)
    assert (tcp.index, tcp.port, tcp.protocol) == (2, 9000, HealthProtocol.TCP)


def test_known_verdicts_go_down_with_the_target():
    known = CheckResult(alive=True, first_success_ms=1, last_success_ms=2)
    instance = evolve(INSTANCE, checks=(CheckResult(), known))
    target = targets_of(instance, SPEC)
    assert target is not None
    assert [check.result for check in target.checks] == [known, CheckResult()]


def test_only_a_running_task_is_probed():
    for condition in Condition:
        target = targets_of(evolve(INSTANCE, condition=condition), SPEC)
        assert (target is not None) is (condition is Condition.RUNNING)


def test_checks_that_run_beside_the_task_are_not_probed_from_here():
    assert targets_of(INSTANCE, evolve(SPEC, health_checks=(MESOS_HTTP,))) is None
    assert targets_of(INSTANCE, evolve(SPEC, health_checks=())) is None


def test_the_host_name_is_probed_when_the_offer_told_no_address():
    assert INSTANCE.placement is not None
    instance = evolve(INSTANCE, placement=evolve(INSTANCE.placement, address=""))
    target = targets_of(instance, SPEC)
    assert target is not None
    assert {check.address for check in target.checks} == {"host.example"}


def container_spec(mode, *mappings):
    return evolve(
        SPEC,
        networks=(Network(mode=mode),),
        port_definitions=None,
        container=Container(port_mappings=mappings),
        health_checks=(HealthCheck(port_index=0), HealthCheck(port_index=1)),
    )


def test_a_mapping_with_a_host_port_is_probed_at_the_agent():
    spec = container_spec(
        NetworkMode.BRIDGE,
        PortMapping(container_port=80, host_port=0),
        PortMapping(container_port=81, host_port=0),
    )
    target = targets_of(INSTANCE, spec)
    assert target is not None
    assert [(check.address, check.port) for check in target.checks] == [
        ("10.0.0.1", 31000),
        ("10.0.0.1", 31001),
    ]


def test_a_container_port_without_host_port_waits_for_the_containers_address():
    spec = container_spec(
        NetworkMode.CONTAINER,
        PortMapping(container_port=80),
        PortMapping(container_port=81, host_port=0),
    )
    early = targets_of(INSTANCE, spec)
    assert early is not None
    assert [(check.index, check.port) for check in early.checks] == [(1, 31000)]
    late = targets_of(evolve(INSTANCE, addresses=("172.16.0.9",)), spec)
    assert late is not None
    assert [(check.address, check.port) for check in late.checks] == [
        ("172.16.0.9", 80),
        ("10.0.0.1", 31000),
    ]


def test_a_port_index_beyond_the_ports_is_left_out():
    spec = evolve(SPEC, health_checks=(HealthCheck(port_index=7),))
    assert targets_of(INSTANCE, spec) is None
