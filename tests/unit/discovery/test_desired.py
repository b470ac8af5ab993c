"""What Consul should hold for an instance, and what brings it there."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import (
    Container,
    HealthCheck,
    HealthProtocol,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
    ReadinessCheck,
)
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult, Condition, Goal
from scheduler.discovery.desired import diff, entries_of, is_advertised, node_name
from scheduler.discovery.entry import AgentCheck, ServiceEntry
from scheduler.discovery.names import DefaultDiscovery, plan_of
from tests.discovery_support import app, running

SPEC = app()
CHECKED = app(health_checks=(HealthCheck(), HealthCheck(protocol=HealthProtocol.MESOS_HTTP)))
ALIVE = CheckResult(alive=True, first_success_ms=1)
DEAD = CheckResult(alive=False, consecutive_failures=1)


def entries(instance, spec):
    return entries_of(instance, spec, plan_of(spec, DefaultDiscovery.ALL), owner="egret")


def test_only_a_running_and_wanted_instance_is_advertised():
    for condition in Condition:
        for goal in Goal:
            instance = evolve(running(SPEC), condition=condition, goal=goal)
            wanted = condition is Condition.RUNNING and goal is Goal.RUNNING
            assert is_advertised(instance, SPEC) is wanted


def test_every_check_must_be_alive_whether_it_runs_here_or_beside_the_task():
    for here in (ALIVE, DEAD, CheckResult()):
        for beside in (True, False, None):
            instance = evolve(running(CHECKED), checks=(here,), mesos_healthy=beside)
            assert is_advertised(instance, CHECKED) is (here is ALIVE and beside is True)


def test_a_task_that_is_asked_whether_it_is_ready_is_advertised_once_it_is():
    """An upgrade must not send requests to a task that is still warming up."""
    spec = app(readiness_checks=(ReadinessCheck(),))
    assert not is_advertised(running(spec), spec)
    assert not is_advertised(running(spec), spec, is_prober_suspect=True)
    assert is_advertised(evolve(running(spec), ready=True), spec)


def test_a_suspect_prober_takes_nothing_away_from_what_was_healthy_once():
    was_alive = evolve(DEAD, first_success_ms=1)
    for here, expected in ((was_alive, True), (DEAD, False), (CheckResult(), False)):
        instance = evolve(running(CHECKED), checks=(here,), mesos_healthy=True)
        assert not is_advertised(instance, CHECKED)
        assert is_advertised(instance, CHECKED, is_prober_suspect=True) is expected
    # What Mesos itself says is not the prober's word.
    instance = evolve(running(CHECKED), checks=(was_alive,), mesos_healthy=False)
    assert not is_advertised(instance, CHECKED, is_prober_suspect=True)


def test_while_the_network_is_suspect_what_is_out_of_sight_stays_as_it_was_seen():
    """Half a cluster out of the master's sight most likely serves as before."""
    lost = evolve(running(CHECKED), condition=Condition.UNREACHABLE, started_at_ms=1)
    was_alive = evolve(DEAD, first_success_ms=1)
    for checks, expected in (((ALIVE,), True), ((was_alive,), True), ((), False)):
        instance = evolve(lost, checks=checks, mesos_healthy=True)
        assert not is_advertised(instance, CHECKED)
        assert is_advertised(instance, CHECKED, is_prober_suspect=True) is expected
    well = evolve(lost, checks=(ALIVE,), mesos_healthy=True)
    for other in (
        evolve(well, started_at_ms=None),
        evolve(well, kill_reason="restart"),
        evolve(well, goal=Goal.DECOMMISSIONED),
        evolve(well, condition=Condition.UNREACHABLE_INACTIVE),
    ):
        assert not is_advertised(other, CHECKED, is_prober_suspect=True)


def test_an_entry_says_whose_it_is_and_where():
    (entry,) = entries(running(SPEC, 3), SPEC)
    assert entry.id == "shop_web.instance-3._app.1:0"
    assert (entry.name, entry.address, entry.port) == ("shop-web", "10.0.0.1", 31000)
    assert (entry.node, entry.node_address) == ("egret-S0", "10.0.0.1")
    assert dict(entry.meta) == {
        "egret-owner": "egret",
        "egret-app": "/shop/web",
        "egret-version": "2026-01-02T03:04:05.678Z",
        "egret-task": "shop_web.instance-3._app.1",
        "egret-agent": "S0",
        "egret-host": "agent.example",
    }
    assert entry.tags == ("app=/shop/web", "version=2026-01-02T03:04:05.678Z")


def test_the_host_name_is_the_address_when_the_offer_told_none():
    (entry,) = entries(running(SPEC, address=""), SPEC)
    assert (entry.address, entry.node_address) == ("agent.example", "agent.example")


def test_a_container_with_an_address_of_its_own_is_registered_there():
    spec = app(
        networks=(Network(mode=NetworkMode.CONTAINER, name="net"),),
        port_definitions=None,
        container=Container(
            port_mappings=(PortMapping(container_port=80), PortMapping(81, host_port=0))
        ),
    )
    placed = running(SPEC)
    instance = evolve(placed, addresses=("172.16.0.2",))
    assert [(e.address, e.port) for e in entries(instance, spec)] == [
        ("172.16.0.2", 80),
        ("10.0.0.1", 31000),
    ]
    assert [(e.address, e.port) for e in entries(placed, spec)] == [("10.0.0.1", 31000)]


def test_a_consul_agent_runs_the_apps_own_check_of_the_port_else_tcp():
    spec = app(
        port_definitions=(PortDefinition(), PortDefinition(), PortDefinition(protocol="udp")),
        health_checks=(
            HealthCheck(protocol=HealthProtocol.MESOS_TCP, port_index=1),
            HealthCheck(protocol=HealthProtocol.HTTPS, path="/up", interval_s=7, timeout_s=3),
        ),
    )
    checks = [entry.check for entry in entries(running(spec), spec)]
    assert checks == [
        AgentCheck("https://10.0.0.1:31000/up", 7, 3),
        AgentCheck(None, 10, 5),
        None,
    ]


def test_no_two_owners_share_a_node():
    assert node_name("a", "S0") != node_name("b", "S0")
    assert node_name("e", "1f-4.S0/x") == "e-1f-4-S0-x"


def entry_of_numbers(key, node, port):
    return ServiceEntry(
        id=f"t{key}:0",
        task_id=TaskId(f"t{key}"),
        name="web",
        address="10.0.0.1",
        port=port,
        tags=(),
        meta=(),
        node=f"n{node}",
        host="h",
    )


entry_maps = st.dictionaries(
    st.integers(0, 6), st.tuples(st.integers(0, 1), st.integers(1, 2)), max_size=7
).map(
    lambda numbers: {
        entry.id: entry for entry in (entry_of_numbers(k, *v) for k, v in numbers.items())
    }
)


@given(desired=entry_maps, held=entry_maps)
def test_the_diff_applied_gives_what_is_desired_and_then_nothing_is_left_to_do(desired, held):
    """Consul keys an entry by node and id: the model does, too."""
    difference = diff(desired, held)
    consul = {(entry.node, entry.id): entry for entry in held.values()}
    for entry in difference.deletes:
        del consul[entry.node, entry.id]
    for entry in difference.puts:
        consul[entry.node, entry.id] = entry
    assert consul == {(entry.node, entry.id): entry for entry in desired.values()}
    again = diff(desired, {entry.id: entry for entry in consul.values()})
    assert again.puts == again.deletes == ()


@given(desired=entry_maps, held=entry_maps)
def test_the_diff_writes_nothing_that_is_right_already(desired, held):
    difference = diff(desired, held)
    for entry in difference.puts:
        assert held.get(entry.id) != desired[entry.id] == entry
    for entry in difference.deletes:
        assert held[entry.id] == entry
