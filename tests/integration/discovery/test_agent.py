"""Mode ``agent`` against a real Consul agent, which runs the checks itself."""

from typing import Any

import pytest

from scheduler.core.app import HealthCheck
from scheduler.core.ids import Epoch
from scheduler.discovery import ConsulAddress, Mode
from scheduler.discovery.agent import AgentRegistry
from scheduler.discovery.desired import entries_of
from scheduler.discovery.names import DefaultDiscovery, plan_of
from scheduler.discovery.registry import StaleEpochError
from tests.discovery_support import ConsulView, app, discovering, draining, running, settled
from tests.support import eventually, free_ports

HERE: dict[str, Any] = {"address": "127.0.0.1", "host": "127.0.0.1"}


def at_agent(url, owner, instances=(), **fields):
    return discovering(url, owner, instances, mode=Mode.AGENT, **fields)


def checks_of(view, name):
    return {check["ServiceID"]: check for check in view.client.health.checks(name)[1]}


async def test_an_entry_is_passing_at_once_and_then_judged_by_consul(consul, owner, app_id):
    """Nothing listens at the port: only the initial status can be passing, then Consul looks."""
    view = ConsulView(consul)
    check = HealthCheck(path="/up", interval_s=1, timeout_s=1)
    spec = app(app_id, health_checks=(check,))
    (port,) = free_ports(1)
    entry = entry_at(spec, owner, port=port)
    registry = AgentRegistry(ConsulAddress(consul), owner, Epoch(1), agent_url=consul)
    registry.take_over()
    assert registry.put([entry]) == []
    (held,) = registry.read({entry.id: entry}).entries.values()
    assert held == entry
    await eventually(
        lambda: checks_of(view, entry.name)[entry.id]["Status"] == "critical",
        what="Consul has looked for itself",
    )
    assert registry.read({}).entries == {entry.id: entry}
    assert registry.delete([entry]) == []
    assert registry.read({}).entries == {}
    registry.tidy({})


def entry_at(spec, owner, **place):
    plan = plan_of(spec, DefaultDiscovery.ALL)
    (entry,) = entries_of(running(spec, **(HERE | place)), spec, plan, owner=owner)
    return entry


async def test_registered_drained_and_reported_gone(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    first, second = running(spec, 0, **HERE), running(spec, 1, port=32000, **HERE)
    async with at_agent(consul, owner, [(first, spec), (second, spec)]) as (discovery, told):
        await settled(discovery, 2)
        assert {row["ServicePort"] for row in view.services(f"{owner}-web")} == {31000, 32000}
        (check, _) = checks_of(view, f"{owner}-web").values()
        assert check["Name"] == f"Egret {owner}"
        discovery.changed(first, draining(first), spec)
        await eventually(lambda: told.gone, what="the task is gone")
        assert [row["ServicePort"] for row in view.services(f"{owner}-web")] == [32000]


async def test_zombies_are_removed_and_entries_outlive_the_scheduler(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    both = [(running(spec, 0, **HERE), spec), (running(spec, 1, port=32000, **HERE), spec)]
    async with at_agent(consul, owner, both) as (discovery, _):
        await settled(discovery, 2)
    assert len(view.services(f"{owner}-web")) == 2
    # No desired entry leads to the host of a zombie: the catalog does.
    async with at_agent(consul, owner, epoch=2):
        await eventually(lambda: not view.services(f"{owner}-web"), what="no zombie is left")


async def test_a_removed_check_and_a_removed_entry_come_back(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    async with at_agent(consul, owner, [(running(spec, **HERE), spec)]) as (discovery, _):
        await settled(discovery, 1)
        (check,) = checks_of(view, f"{owner}-web").values()
        view.client.agent.check.deregister(check["CheckID"])
        await eventually(lambda: checks_of(view, f"{owner}-web"), what="the check is back")
        view.client.agent.service.deregister(check["ServiceID"])
        await eventually(lambda: view.services(f"{owner}-web"), what="the entry is back")


async def test_a_foreign_service_at_the_same_agent_is_left_alone(consul, owner, app_id):
    view = ConsulView(consul)
    view.client.agent.service.register(f"{owner}-web", service_id=f"{owner}-theirs", port=1)
    spec = app(app_id)
    async with at_agent(consul, owner, [(running(spec, **HERE), spec)]) as (discovery, _):
        await eventually(lambda: discovery.status().refusals, what="the name is refused")
        assert [row["ServicePort"] for row in view.services(f"{owner}-web")] == [1]
    view.client.agent.service.deregister(f"{owner}-theirs")


async def test_an_agent_that_is_away_holds_up_no_other(consul, owner, app_id):
    """Nothing listens at the second host's address; its entry is kept and tried again."""
    view = ConsulView(consul)
    spec = app(app_id)
    near = running(spec, 0, **HERE)
    far = running(spec, 1, address="127.0.0.3", host="127.0.0.3")
    pattern = consul.replace("127.0.0.1", "{host}")
    both = [(far, spec), (near, spec)]
    async with at_agent(consul, owner, both, agent_url=pattern) as (discovery, _):
        await eventually(lambda: view.services(f"{owner}-web"), what="the near one is there")
        await eventually(lambda: discovery.status().sync.last_error, what="the far one is missed")
        status = discovery.status().sync
        assert "127.0.0.3" in (status.last_error or "")
        assert status.desired == 2
        assert status.pending == 1


async def test_a_stale_leader_is_kept_out(consul, owner, app_id):
    entry = entry_at(app(app_id), owner)
    old = AgentRegistry(ConsulAddress(consul), owner, Epoch(1), agent_url=consul)
    old.take_over()
    new = AgentRegistry(ConsulAddress(consul), owner, Epoch(2), agent_url=consul)
    new.take_over()
    with pytest.raises(StaleEpochError):
        old.put([entry])
    assert new.put([entry]) == []
    with pytest.raises(StaleEpochError):
        old.delete([entry])
    assert new.delete([entry]) == []
