"""SUBSCRIBE, the event stream, offers, filters: recordings 01, 08 and 13."""

import asyncio
import time

import pytest

from scheduler.local import Cluster
from tests.contract.mesos.client import Scheduler, framework_info, launch, listed, task
from tests.contract.mesos.conftest import Subscribe
from tests.support import eventually


async def test_a_stream_begins_with_subscribed_and_a_heartbeat(subscribe: Subscribe) -> None:
    scheduler = await subscribe("begin")
    await scheduler.new_offers(0, 1)
    kinds = [e["type"] for e in scheduler.events]
    assert kinds[:2] == ["SUBSCRIBED", "HEARTBEAT"]
    subscribed = scheduler.of("SUBSCRIBED")[0]
    assert subscribed["heartbeat_interval_seconds"] == 15.0
    info = subscribed["master_info"]
    assert {"id", "ip", "port", "pid", "hostname", "version", "address"} <= set(info)
    assert subscribed["framework_id"]["value"].startswith(info["id"] + "-")


async def test_an_offer_says_whose_and_where_it_is(subscribe: Subscribe) -> None:
    scheduler = await subscribe("offer")
    offer = (await scheduler.new_offers(0))[0]
    assert offer["framework_id"]["value"] == scheduler.framework_id
    assert offer["allocation_info"] == {"role": "web"}
    assert offer["url"]["address"]["port"] > 0
    assert {a["type"] for a in offer["attributes"]} <= {"TEXT", "SCALAR", "RANGES"}
    names = [r["name"] for r in offer["resources"]]
    assert names == ["ports", "cpus", "mem", "disk"]
    assert all(r["allocation_info"] == {"role": "web"} for r in offer["resources"])
    assert all("role" not in r for r in offer["resources"])


async def test_without_multi_role_resources_have_the_old_form(subscribe: Subscribe) -> None:
    scheduler = await subscribe("old", roles=None, role="web", capabilities=[])
    offer = (await scheduler.new_offers(0))[0]
    assert "allocation_info" not in offer
    assert all("allocation_info" not in r and r["role"] == "*" for r in offer["resources"])


async def test_a_declined_offer_stays_away_for_its_filter(subscribe: Subscribe) -> None:
    scheduler = await subscribe("filter")
    offers = await scheduler.new_offers(0, 2)
    ids = [o["id"] for o in offers]
    body = {"offer_ids": ids, "filters": {"refuse_seconds": 300}}
    assert (await scheduler.call("DECLINE", body)).pair == (202, "")
    await asyncio.sleep(1.5)
    assert len(scheduler.offers()) == len(offers)
    assert (await scheduler.call("REVIVE")).pair == (202, "")
    await scheduler.new_offers(len(offers), 2)


async def test_a_short_filter_ends_by_itself(subscribe: Subscribe) -> None:
    scheduler = await subscribe("short")
    offers = await scheduler.new_offers(0, 2)
    began = time.monotonic()
    body = {"offer_ids": [o["id"] for o in offers], "filters": {"refuse_seconds": 1}}
    await scheduler.call("DECLINE", body)
    await scheduler.new_offers(len(offers), 2)
    assert time.monotonic() - began >= 0.9


async def test_a_declined_agent_goes_to_the_other_role(subscribe: Subscribe) -> None:
    scheduler = await subscribe("roles", roles=["batch", "web"])
    offers = await scheduler.new_offers(0, 2)
    body = {"offer_ids": [offers[0]["id"]], "filters": {"refuse_seconds": 300}}
    await scheduler.call("DECLINE", body)
    again = (await scheduler.new_offers(len(offers)))[0]
    assert again["agent_id"] == offers[0]["agent_id"]
    assert again["allocation_info"] != offers[0]["allocation_info"]


async def test_suppressed_roles_get_nothing_until_revived(subscribe: Subscribe) -> None:
    scheduler = await subscribe("suppressed", suppressed_roles=["web"])
    await asyncio.sleep(1.5)
    assert scheduler.offers() == []
    await scheduler.call("REVIVE", {"roles": ["web"]})
    offers = await scheduler.new_offers(0, 2)
    await scheduler.call("SUPPRESS")
    body = {"offer_ids": [o["id"] for o in offers], "filters": {"refuse_seconds": 0}}
    await scheduler.call("DECLINE", body)
    await asyncio.sleep(1.5)
    assert len(scheduler.offers()) == len(offers)


async def test_what_an_accept_leaves_comes_back_as_another_offer(subscribe: Subscribe) -> None:
    scheduler = await subscribe("rest")
    offer = (await scheduler.new_offers(0))[0]
    seen = len(scheduler.offers())
    await scheduler.call("ACCEPT", launch([offer], [task("rest.1", offer["agent_id"])]))
    rest = await scheduler.wait(
        lambda: [o for o in scheduler.offers()[seen:] if o["agent_id"] == offer["agent_id"]]
    )
    cpus = {r["name"]: r for r in offer["resources"]}["cpus"]["scalar"]["value"]
    left = {r["name"]: r for r in rest[0]["resources"]}["cpus"]["scalar"]["value"]
    assert left == pytest.approx(cpus - 0.1)


async def test_an_accept_without_operations_is_a_decline(subscribe: Subscribe) -> None:
    scheduler = await subscribe("nothing")
    offer = (await scheduler.new_offers(0))[0]
    seen = len(scheduler.offers())
    body = {
        "offer_ids": [offer["id"]],
        "operations": [],
        "filters": {"refuse_seconds": 0},
    }
    assert (await scheduler.call("ACCEPT", body)).status == 202
    await scheduler.new_offers(seen)


async def test_removing_a_role_rescinds_its_offers(subscribe: Subscribe) -> None:
    scheduler = await subscribe("change")
    offers = await scheduler.new_offers(0, 2)
    info = framework_info("change", roles=["ops"], id={"value": scheduler.framework_id})
    reply = await scheduler.call("UPDATE_FRAMEWORK", {"framework_info": info})
    assert reply.pair == (200, "")
    ids = {o["id"]["value"] for o in offers}
    await scheduler.wait(
        lambda: {r["offer_id"]["value"] for r in scheduler.of("RESCIND")} >= ids, "RESCIND"
    )
    again = await scheduler.new_offers(len(offers))
    assert again[0]["allocation_info"] == {"role": "ops"}


async def test_constraints_hide_other_agents(subscribe: Subscribe) -> None:
    everyone = await subscribe("look")
    wanted = (await everyone.new_offers(0, 2))[0]
    rack = next(a["text"]["value"] for a in wanted["attributes"] if a["name"] == "rack")
    await everyone.close()
    predicate = {"text_equals": {"value": rack}}
    group = {
        "attribute_constraints": [{"selector": {"attribute_name": "rack"}, "predicate": predicate}]
    }
    constraints = {"role_constraints": {"web": {"groups": [group]}}}
    scheduler = await subscribe("constrained", offer_constraints=constraints)
    await scheduler.new_offers(0)
    await asyncio.sleep(1.5)
    assert {o["agent_id"]["value"] for o in scheduler.offers()} == {wanted["agent_id"]["value"]}


async def test_calls_may_be_written_ahead_of_their_replies(subscribe: Subscribe) -> None:
    scheduler = await subscribe("ahead")
    await scheduler.open_calls()
    for _ in range(50):
        scheduler.send("REVIVE")
        scheduler.send("KILL", {"task_id": {"value": "never"}})
        scheduler.send("RECONCILE")
    replies = await scheduler.replies(150)
    assert [r.status for r in replies] == [202, 202, 400] * 50


async def test_a_second_stream_takes_the_framework_over(subscribe: Subscribe, address: str) -> None:
    first = await subscribe("twice")
    await first.new_offers(0, 2)
    second = Scheduler(address)
    info = framework_info("twice", id={"value": first.framework_id})
    await second.subscribe(info)
    await first.wait_closed()
    assert first.of("ERROR") == [{"message": "Framework failed over"}]
    offers = await second.new_offers(0, 2)
    assert not {o["id"]["value"] for o in offers} & {o["id"]["value"] for o in first.offers()}
    old = await second.call("REVIVE", stream_id=first.stream_id)
    assert old.status == 400
    assert old.text == (
        f"The stream ID '{first.stream_id}' included in this request didn't match the stream ID "
        f"currently associated with framework ID {first.framework_id}"
    )
    await second.close()


async def test_a_framework_may_come_with_an_id_of_its_own_making(subscribe: Subscribe) -> None:
    scheduler = await subscribe("made", id={"value": f"made-up-{time.time_ns()}"})
    assert scheduler.framework_id.startswith("made-up-")


async def test_a_framework_without_failover_timeout_is_removed_at_once(
    subscribe: Subscribe, address: str
) -> None:
    scheduler = await subscribe("gone", failover_timeout=None)
    offer = (await scheduler.new_offers(0))[0]
    await scheduler.call("ACCEPT", launch([offer], [task("gone.1", offer["agent_id"])]))
    await scheduler.wait_state("gone.1", "TASK_RUNNING")
    scheduler.close_stream()

    async def is_removed() -> bool:
        return await listed(address, scheduler.framework_id) is None

    await eventually(is_removed, what="the master has noticed")
    again = Scheduler(address)
    await again.subscribe(framework_info("gone", id={"value": scheduler.framework_id}))
    await again.wait_closed()
    assert again.of("ERROR") == [{"message": "Framework has been removed"}]


async def test_a_short_failover_timeout_is_kept(subscribe: Subscribe, address: str) -> None:
    long = await subscribe("long", failover_timeout=600.0)
    short = await subscribe("short", failover_timeout=1.0)
    for scheduler in (long, short):
        scheduler.close_stream()

    async def is_removed() -> bool:
        return await listed(address, short.framework_id) is None

    await eventually(is_removed, what="its time is over")
    mine = await listed(address, long.framework_id)
    assert mine is not None
    assert (mine["active"], mine["connected"], mine["recovered"]) == (False, False, False)


async def test_only_agents_of_the_home_region_are_offered_to_the_unaware(tmp_path: object) -> None:
    from scheduler.local import AgentConfig

    near = AgentConfig(region="eu-1", zone="eu-1b", is_virtual=True)
    far = AgentConfig(region="us-1", zone="us-1a", is_virtual=True)
    async with Cluster([near, far], domain=("eu-1", "eu-1a")) as cluster:
        scheduler = Scheduler(cluster.master_address)
        capabilities = [{"type": "MULTI_ROLE"}]
        await scheduler.subscribe(framework_info("unaware", capabilities=capabilities))
        offers = await scheduler.new_offers(0)
        await asyncio.sleep(1.5)
        assert len(scheduler.offers()) == 1
        zone = offers[0]["domain"]["fault_domain"]["zone"]["name"]
        assert zone == "eu-1b"
        await scheduler.close()
