"""Mode ``catalog`` against a real Consul: what is registered, kept, repaired and left alone."""

import contextlib

import pytest
import requests
from attrs import evolve

from scheduler.core.ids import Epoch
from scheduler.discovery import ConsulAddress, Mode
from scheduler.discovery.catalog import CatalogRegistry
from scheduler.discovery.client import ConsulUnavailableError
from scheduler.discovery.registry import StaleEpochError
from tests.discovery_support import ConsulView, app, discovering, draining, running, settled
from tests.support import eventually, free_ports, running_consul, suspended_consul


async def test_a_running_instance_is_found_at_its_address_and_port(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id, ports=2, labels=(("urlprefix-/shop allow=ip:10.0.0.1,ip:::1", "tag"),))
    instance = running(spec)
    async with discovering(consul, owner) as (discovery, _):
        discovery.changed(None, instance, spec)
        await settled(discovery, 2)
    assert view.passing(f"{owner}-web") == [("10.0.0.1", 31000)]
    assert view.passing(f"{owner}-web-1") == [("10.0.0.1", 31001)]
    (row,) = view.services(f"{owner}-web")
    assert row["ServiceID"] == f"{instance.task_id}:0"
    assert row["ServiceTags"] == [
        "urlprefix-/shop allow=ip:10.0.0.1,ip:::1",
        f"app={app_id}",
        "version=2026-01-02T03:04:05.678Z",
    ]
    assert row["ServiceMeta"]["egret-owner"] == owner
    assert row["ServiceMeta"]["egret-task"] == instance.task_id
    assert row["NodeMeta"]["external-node"] == "true"
    _, checks = view.client.health.checks(f"{owner}-web")
    assert [check["Status"] for check in checks] == ["passing"]


async def test_entries_stay_when_the_scheduler_is_away(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    async with discovering(consul, owner, [(running(spec), spec)]) as (discovery, _):
        await settled(discovery, 1)
    before = view.services(f"{owner}-web")
    async with discovering(consul, owner, [(running(spec), spec)], epoch=2) as (discovery, _):
        await settled(discovery, 1)
        assert discovery.status().sync.puts == 0
    assert view.services(f"{owner}-web") == before != []


async def test_a_draining_task_is_reported_gone_when_consul_has_forgotten_it(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    first, second = running(spec, 0), running(spec, 1, port=32000)
    async with discovering(consul, owner, [(first, spec), (second, spec)]) as (discovery, told):
        await settled(discovery, 2)
        discovery.changed(first, draining(first), spec)
        await eventually(lambda: told.gone, what="the task is gone")
        assert view.passing(f"{owner}-web") == [("10.0.0.1", 32000)]
        assert [event.task_id for event in told.gone] == [first.task_id]


async def test_a_task_without_entries_is_reported_gone_at_once(consul, owner, app_id):
    spec = app(app_id, ports=0)
    instance = running(spec)
    async with discovering(consul, owner) as (discovery, told):
        discovery.changed(instance, draining(instance), spec)
        await eventually(lambda: told.gone, what="the task is gone")


async def test_a_task_that_drains_over_a_restart_is_reported_gone(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    instance = running(spec)
    async with discovering(consul, owner, [(instance, spec)]) as (discovery, _):
        await settled(discovery, 1)
    restarted = discovering(consul, owner, [(draining(instance), spec)], epoch=2)
    async with restarted as (discovery, told):
        await eventually(lambda: told.gone, what="the task is gone")
        assert view.passing(f"{owner}-web") == []


async def test_zombies_of_an_earlier_leader_are_removed_with_their_empty_node(
    consul, owner, app_id
):
    view = ConsulView(consul)
    spec = app(app_id)
    both = [(running(spec, 0), spec), (running(spec, 1, agent="S1"), spec)]
    async with discovering(consul, owner, both) as (discovery, _):
        await settled(discovery, 2)
    async with discovering(consul, owner, both[:1], epoch=2) as (discovery, _):
        await settled(discovery, 1)

        def nodes():
            return {
                n["Node"] for n in view.client.catalog.nodes(node_meta={"egret-owner": owner})[1]
            }

        await eventually(lambda: nodes() == {f"{owner}-S0"}, what="only the used node is there")


async def test_foreign_entries_and_their_names_are_left_alone(consul, owner, app_id):
    """Whoever has a name first keeps it; the app is refused visibly, other apps are not."""
    view = ConsulView(consul)
    taken, free = app(app_id), app(f"/{owner}/free")
    view.client.catalog.register(
        f"{owner}-foreign",
        "10.9.9.9",
        service={"Service": f"{owner}-web", "ID": "theirs", "Port": 1},
    )
    both = [(running(taken), taken), (running(free, port=32000), free)]
    async with discovering(consul, owner, both) as (discovery, _):
        await eventually(lambda: view.passing(f"{owner}-free"), what="the other app is there")
        (refusal,) = await eventually(
            lambda: discovery.status().refusals, what="the refusal is shown"
        )
        assert (refusal.app_id, refusal.name) == (app_id, f"{owner}-web")
        assert [row["ServiceID"] for row in view.services(f"{owner}-web")] == ["theirs"]

        view.client.catalog.deregister(f"{owner}-foreign")
        await eventually(lambda: view.passing(f"{owner}-web"), what="the name is ours now")
        await eventually(lambda: not discovery.status().refusals, what="no refusal is left")


async def test_what_others_change_on_our_entries_is_repaired(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    instance = running(spec)
    async with discovering(consul, owner, [(instance, spec)]) as (discovery, _):
        await settled(discovery, 1)
        (row,) = view.services(f"{owner}-web")
        node, service_id = row["Node"], row["ServiceID"]

        view.client.catalog.deregister(node, service_id=service_id)
        await eventually(lambda: view.passing(f"{owner}-web"), what="a removed entry is back")

        view.client.catalog.deregister(node, check_id=service_id)
        await eventually(
            lambda: view.client.health.checks(f"{owner}-web")[1], what="a removed check is back"
        )

        altered = {"Service": f"{owner}-web", "ID": service_id, "Port": 1, "Address": "10.0.0.1"}
        altered["Meta"] = row["ServiceMeta"]
        view.client.catalog.register(node, "10.0.0.1", service=altered, skip_node_update=True)
        await eventually(
            lambda: view.services(f"{owner}-web")[0]["ServicePort"] == 31000,
            what="an altered port is right again",
        )


async def test_a_leader_of_an_earlier_term_can_write_no_more(consul, owner, app_id):
    view = ConsulView(consul)
    spec = app(app_id)
    async with discovering(consul, owner, [(running(spec), spec)], epoch=7) as (old, told):
        await settled(old, 1)
        async with discovering(consul, owner, [(running(spec), spec)], epoch=8) as (new, told_new):
            await settled(new, 1)
            old.changed(running(spec), None, None)
            await eventually(lambda: told.stale, what="the old leader knows")
            assert [row["ServicePort"] for row in view.services(f"{owner}-web")] == [31000]
            assert told_new.stale == 0
    with pytest.raises(StaleEpochError):
        CatalogRegistry(ConsulAddress(consul), owner, Epoch(7)).take_over()


async def test_a_write_between_two_leaders_is_refused_by_consul_itself(consul, owner, app_id):
    """The stale leader does not look before it writes: the transaction carries the fence."""
    old = CatalogRegistry(ConsulAddress(consul), owner, Epoch(1))
    old.take_over()
    CatalogRegistry(ConsulAddress(consul), owner, Epoch(2)).take_over()
    spec = app(app_id)
    async with discovering(consul, f"{owner}-x", [(running(spec), spec)]) as (discovery, _):
        await settled(discovery, 1)
        (entry,) = discovery._tracked[running(spec).id].entries.values()
    with pytest.raises(StaleEpochError):
        old.put([entry])
    with pytest.raises(StaleEpochError):
        old.delete([entry])
    assert len(ConsulView(consul).services(f"{owner}-web")) == 1


async def test_a_thousand_services_are_registered_and_removed(consul, owner):
    specs = [app(f"/{owner}/s{number}") for number in range(100)]
    instances = [
        (running(spec, number, agent=f"S{number}", port=31000 + number), spec)
        for spec in specs
        for number in range(10)
    ]
    async with discovering(consul, owner, period_s=30) as (discovery, _):
        for instance, spec in instances:
            discovery.changed(None, instance, spec)
        await settled(discovery, 1000)
        assert len(ConsulView(consul).passing(f"{owner}-s99")) == 10
        for instance, _spec in instances:
            discovery.changed(instance, None, None)
        await settled(discovery, 0)
    assert not [name for name in ConsulView(consul).names() if name.startswith(owner)]


async def test_a_consul_that_hangs_delays_nothing_and_loses_nothing(
    consul_binary, tmp_path, owner, app_id
):
    spec = app(app_id)
    first, second = running(spec, 0), running(spec, 1, port=32000)
    never = running(app(f"/{owner}/never", ports=0), 5)
    with running_consul(consul_binary, tmp_path) as url:
        view = ConsulView(url)
        async with discovering(url, owner, [(first, spec)], timeout_s=0.5) as (discovery, told):
            await settled(discovery, 1)
            with suspended_consul(tmp_path):
                discovery.changed(None, second, spec)
                discovery.changed(first, draining(first), spec)
                await eventually(
                    lambda: discovery.status().sync.last_error, what="the outage is seen"
                )
                # A task that never had an entry waits for no one.
                discovery.changed(never, draining(never), app(f"/{owner}/never", ports=0))
                await eventually(lambda: told.gone, what="the other task is gone")
                assert [event.task_id for event in told.gone] == [never.task_id]
            await eventually(lambda: len(told.gone) == 2, what="the drained task is gone")
            await settled(discovery, 1)
            assert view.passing(f"{owner}-web") == [("10.0.0.1", 32000)]
            await eventually(
                lambda: discovery.status().sync.last_error is None, what="the outage is over"
            )


async def test_a_consul_that_lost_its_data_gets_everything_back(
    consul_binary, tmp_path, owner, app_id
):
    spec = app(app_id)
    instances = [(running(spec, number, port=31000 + number), spec) for number in range(50)]
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as first:
        first.enter_context(running_consul(consul_binary, tmp_path, port))
        async with discovering(address, owner, instances, epoch=3) as (discovery, told):
            await settled(discovery, 50)
            first.close()
            with running_consul(consul_binary, tmp_path, port):
                view = ConsulView(address)
                await eventually(
                    lambda: len(view.passing(f"{owner}-web")) == 50, what="all are back"
                )
                assert told.stale == 0
                await settled(discovery, 50)


async def test_without_consul_nothing_raises_and_the_state_says_so(owner, app_id):
    (port,) = free_ports(1)
    spec = app(app_id)
    instances = [(running(spec), spec)]
    async with discovering(f"http://127.0.0.1:{port}", owner, instances) as (discovery, told):
        await eventually(lambda: discovery.status().sync.failures > 1, what="it tries again")
        assert discovery.status().sync.last_success_ms is None
        assert discovery.status().sync.desired == 1
        discovery.changed(running(spec), draining(running(spec)), spec)
        await eventually(lambda: discovery.status().sync.failures > 3, what="it tries again")
        # What Consul holds was never seen: nobody may say that the task is gone.
        assert told.gone == []


async def test_one_entry_that_consul_refuses_does_not_keep_out_the_others(consul, owner, app_id):
    registry = CatalogRegistry(ConsulAddress(consul), owner, Epoch(1))
    registry.take_over()
    spec = app(app_id)
    async with discovering(consul, f"{owner}-x", [(running(spec), spec)]) as (discovery, _):
        await settled(discovery, 1)
        (good,) = discovery._tracked[running(spec).id].entries.values()
    bad = evolve(good, id="bad", meta=(("not a key!", "x" * 2000),))
    (failed,) = registry.put([good, bad])
    assert failed.entry == bad
    assert failed.is_refused


async def test_a_token_file_that_is_missing_is_an_outage_not_a_crash(consul, owner, tmp_path):
    address = ConsulAddress(consul, token_file=tmp_path / "token")
    registry = CatalogRegistry(address, owner, Epoch(1))
    with pytest.raises(ConsulUnavailableError):
        registry.take_over()
    (tmp_path / "token").write_text("any\n")
    registry.take_over()


POLICY = """
service_prefix "shop" { policy = "write" }
node_prefix "" { policy = "read" }
node_prefix "egret-" { policy = "write" }
key_prefix "egret/" { policy = "write" }
"""


@pytest.mark.parametrize("mode", Mode)
async def test_a_token_is_sent_with_everything_and_replaced_without_a_restart(
    consul_binary, tmp_path, mode
):
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": "root"}}
    spec = app("/shop/web")
    first, second = running(spec, 0), running(spec, 1, port=32000)
    token_file = tmp_path / "token"
    with running_consul(consul_binary, tmp_path, acl=acl) as url:
        root = {"X-Consul-Token": "root"}

        def make(path, **body):
            answer = requests.put(f"{url}/v1/acl/{path}", json=body, headers=root, timeout=10)
            assert answer.ok, answer.text
            return answer.json()

        def new_token():
            return make("token", Policies=[{"Name": "egret"}])

        async def when_acl_is_ready():
            with contextlib.suppress(AssertionError):
                return make("policy", Name="egret", Rules=POLICY)

        await eventually(when_acl_is_ready, what="the ACL system is up")
        token = new_token()
        token_file.write_text(token["SecretID"])
        running_on = discovering(url, "egret-1", [(first, spec)], token_file=token_file, mode=mode)
        async with running_on as (discovery, _):
            await settled(discovery, 1)
            old = f"{url}/v1/acl/token/{token['AccessorID']}"
            assert requests.delete(old, headers=root, timeout=10).ok
            discovery.changed(None, second, spec)
            await eventually(lambda: discovery.status().sync.last_error, what="it is refused")
            token_file.write_text(new_token()["SecretID"])
            await settled(discovery, 2)
            view = ConsulView(url)
            view.client.token = "root"
            assert len(view.services("shop-web")) == 2
