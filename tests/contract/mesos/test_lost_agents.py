"""Agents that die, return, leave or are given up; masters that restart: recordings 09, 10, 11."""

import asyncio
import time

import pytest

from scheduler.local import Cluster
from tests.contract.mesos.client import Json, Scheduler, launch, request, task
from tests.contract.mesos.conftest import Subscribe, agents_are_soon_missed

OLD = [{"type": c} for c in ("MULTI_ROLE",)]


async def _run_on(scheduler: Scheduler, index: int, cluster: Cluster, name: str) -> Json:
    """Run a task on an agent and return the agent's id."""
    agent_id = cluster.agents[index].id
    offers = await scheduler.wait(
        lambda: [o for o in scheduler.offers() if o["agent_id"]["value"] == agent_id]
    )
    body = launch([offers[-1]], [task(name, offers[-1]["agent_id"])])
    await scheduler.call("ACCEPT", body)
    await scheduler.wait_state(name, "TASK_RUNNING")
    return offers[-1]["agent_id"]


async def test_an_agent_that_dies_and_returns_in_time_is_hardly_noticed(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("quick")
    await _run_on(scheduler, 0, cluster, "quick.1")
    await cluster.kill_agent(0)
    await cluster.return_agent(0)
    seen = len(scheduler.offers())
    await scheduler.new_offers(seen - 1)
    assert scheduler.states("quick.1") == ["TASK_STARTING", "TASK_RUNNING"]
    assert scheduler.of("FAILURE") == []
    await scheduler.call("KILL", {"task_id": {"value": "quick.1"}})
    await scheduler.wait_state("quick.1", "TASK_KILLED")


@agents_are_soon_missed
@pytest.mark.parametrize("how", ["killed", "partitioned"])
async def test_tasks_of_a_silent_agent_are_unreachable_and_come_back_to_life(
    subscribe: Subscribe, cluster: Cluster, how: str
) -> None:
    scheduler = await subscribe("aware")
    agent = await _run_on(scheduler, 0, cluster, "aware.1")
    if how == "killed":
        await cluster.kill_agent(0)
    else:
        cluster.partition_agent(0)
    status = await scheduler.wait_state("aware.1", "TASK_UNREACHABLE")
    assert (status["message"], status["reason"]) == (
        "health check timed out",
        "REASON_AGENT_REMOVED",
    )
    assert status["unreachable_time"]["nanoseconds"] > 0
    assert "uuid" not in status
    assert {"agent_id": agent} in await scheduler.wait(lambda: scheduler.of("FAILURE"))
    await scheduler.call("KILL", {"task_id": {"value": "aware.1"}, "agent_id": agent})
    never = {"task_id": {"value": "never"}, "agent_id": agent}
    await scheduler.call("RECONCILE", {"tasks": [never]})
    answer = await scheduler.wait_state("never", "TASK_UNREACHABLE")
    assert answer["message"] == "Reconciliation: Task is unreachable"
    seen = len(scheduler.statuses("aware.1"))
    await cluster.return_agent(0)
    status = await scheduler.wait_state("aware.1", "TASK_RUNNING", since=seen)
    assert status["message"] == "Unreachable agent re-reregistered"
    assert status["reason"] == "REASON_AGENT_REREGISTERED"
    assert "uuid" not in status
    await scheduler.call("KILL", {"task_id": {"value": "aware.1"}})
    await scheduler.wait_state("aware.1", "TASK_KILLED")


@agents_are_soon_missed
async def test_a_framework_that_is_not_partition_aware_hears_of_lost_tasks(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("old", capabilities=OLD)
    await _run_on(scheduler, 0, cluster, "old.1")
    await cluster.kill_agent(0)
    status = await scheduler.wait_state("old.1", "TASK_LOST")
    assert status["reason"] == "REASON_AGENT_REMOVED"
    seen = len(scheduler.statuses("old.1"))
    await cluster.return_agent(0)
    await scheduler.wait_state("old.1", "TASK_RUNNING", since=seen)


async def test_a_framework_that_does_not_checkpoint_loses_its_tasks_at_once(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("nocp", checkpoint=False)
    agent = await _run_on(scheduler, 0, cluster, "nocp.1")
    await cluster.kill_agent(0)
    status = await scheduler.wait_state("nocp.1", "TASK_LOST")
    assert status["message"] == "Agent 127.0.0.1 disconnected"
    assert status["reason"] == "REASON_AGENT_DISCONNECTED"
    await cluster.return_agent(0)
    known = {"task_id": {"value": "nocp.1"}, "agent_id": agent}
    await scheduler.call("RECONCILE", {"tasks": [known]})
    await scheduler.wait_state("nocp.1", "TASK_GONE")


async def test_an_agent_that_stops_gracefully_loses_its_tasks_for_everyone(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("graceful")
    agent = await _run_on(scheduler, 0, cluster, "graceful.1")
    await cluster.stop_agent(0)
    status = await scheduler.wait_state("graceful.1", "TASK_LOST")
    assert status["message"] == "Agent 127.0.0.1 removed: the agent unregistered"
    assert status["reason"] == "REASON_AGENT_REMOVED"
    seen = len(scheduler.statuses("graceful.1"))
    known = {"task_id": {"value": "graceful.1"}, "agent_id": agent}
    await scheduler.call("RECONCILE", {"tasks": [known]})
    await scheduler.wait_state("graceful.1", "TASK_UNKNOWN", since=seen)
    await cluster.return_agent(0)
    assert cluster.agents[0].id not in {"", agent["value"]}


async def test_an_agent_marked_gone_takes_its_tasks_with_it(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("gone")
    agent = await _run_on(scheduler, 0, cluster, "gone.1")
    call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": agent}}
    address = cluster.master_address
    assert (await request(address, "POST", "/api/v1", call)).status == 200
    status = await scheduler.wait_state("gone.1", "TASK_GONE_BY_OPERATOR")
    assert status["message"] == "Agent has been marked gone"
    assert status["reason"] == "REASON_AGENT_REMOVED_BY_OPERATOR"
    never = {"task_id": {"value": "never"}, "agent_id": agent}
    await scheduler.call("RECONCILE", {"tasks": [never]})
    answer = await scheduler.wait_state("never", "TASK_GONE_BY_OPERATOR")
    assert answer["message"] == "Reconciliation: Task is gone"
    await cluster.return_agent(0)
    assert cluster.master is not None
    assert agent["value"] not in cluster.master.agents


async def test_an_accept_of_a_dead_agents_offer_is_dropped(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("dead")
    offers = await scheduler.new_offers(0, 2)
    dead = cluster.agents[0].id
    offer = next(o for o in offers if o["agent_id"]["value"] == dead)
    await cluster.kill_agent(0)
    await scheduler.call("ACCEPT", launch([offer], [task("late", offer["agent_id"])]))
    status = await scheduler.wait_state("late", "TASK_DROPPED")
    assert status["reason"] == "REASON_INVALID_OFFERS"
    assert {"offer_id": offer["id"]} in scheduler.of("RESCIND")


async def test_draining_kills_the_tasks_and_keeps_the_agent_out(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("drain")
    agent = await _run_on(scheduler, 0, cluster, "drain.1")
    address = cluster.master_address
    wrong = {"agent_id": agent, "max_grace_period": "2s"}
    reply = await request(address, "POST", "/api/v1", {"type": "DRAIN_AGENT", "drain_agent": wrong})
    problem = "Not expecting a JSON string for field 'max_grace_period'"
    assert reply.pair == (400, f"Failed to convert JSON into Call protobuf: {problem}")
    drain = {"agent_id": agent, "max_grace_period": {"seconds": 2}}
    reply = await request(address, "POST", "/api/v1", {"type": "DRAIN_AGENT", "drain_agent": drain})
    assert reply.status == 200
    status = await scheduler.wait_state("drain.1", "TASK_KILLED")
    assert status["reason"] == "REASON_AGENT_DRAINING"
    reactivate = {"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": agent}}

    async def reactivated() -> bool:
        return (await request(address, "POST", "/api/v1", reactivate)).status == 200

    async with asyncio.timeout(20):
        while not await reactivated():
            await asyncio.sleep(0.05)
    assert (await request(address, "POST", "/api/v1", reactivate)).pair == (
        400,
        "Agent is not deactivated",
    )


async def test_a_restarted_master_waits_for_its_agents_before_it_answers(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    first = await subscribe("restart")
    agent = await _run_on(first, 0, cluster, "restart.1")
    for index in range(2):
        cluster.partition_agent(index)
    await cluster.restart_master()
    await first.wait_closed()
    second = await subscribe("restart", id={"value": first.framework_id})
    known = {"task_id": {"value": "restart.1"}, "agent_id": agent}
    never = {"task_id": {"value": "never"}}
    assert second.framework_id == first.framework_id
    await second.call("RECONCILE", {"tasks": [known, never]})
    for index in range(2):
        await cluster.return_agent(index)
    await second.new_offers(0)
    reasons = [b["status"].get("reason") for b in second.of("UPDATE")]
    assert "REASON_RECONCILIATION" not in reasons
    await second.call("RECONCILE", {"tasks": [known, never]})
    await second.wait_state("restart.1", "TASK_RUNNING")
    await second.wait_state("never", "TASK_UNKNOWN")
    await second.call("KILL", {"task_id": {"value": "restart.1"}})
    await second.wait_state("restart.1", "TASK_KILLED")


@agents_are_soon_missed
async def test_an_agent_that_a_restarted_master_waits_for_in_vain_is_unreachable(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    first = await subscribe("vain")
    agent = await _run_on(first, 0, cluster, "vain.1")
    await cluster.kill_agent(0, with_executors=True)
    await cluster.restart_master()
    second = await subscribe("vain", id={"value": first.framework_id})
    known = {"task_id": {"value": "vain.1"}, "agent_id": agent}
    await second.wait(lambda: {"agent_id": agent} in second.of("FAILURE"))
    await second.call("RECONCILE", {"tasks": [known]})
    await second.wait_state("vain.1", "TASK_UNREACHABLE")


async def test_a_framework_known_by_its_tasks_only_is_recovered(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("recovered")
    await _run_on(scheduler, 0, cluster, "recovered.1")
    await cluster.restart_master()
    body = (await request(cluster.master_address, "GET", "/frameworks")).json
    mine = next(f for f in body["frameworks"] if f["id"] == scheduler.framework_id)
    assert (mine["recovered"], mine["active"]) == (True, False)
    assert [t["id"] for t in mine["tasks"]] == ["recovered.1"]


async def test_a_lost_launch_is_found_out_by_reconciliation_alone(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("lost")
    cluster.faults.lose_launches = 1
    offer = (await scheduler.new_offers(0))[0]
    await scheduler.call("ACCEPT", launch([offer], [task("lost.1", offer["agent_id"])]))
    await scheduler.call("RECONCILE", {"tasks": [{"task_id": {"value": "lost.1"}}]})
    await scheduler.wait_state("lost.1", "TASK_STAGING")
    await scheduler.call("KILL", {"task_id": {"value": "lost.1"}})
    status = await scheduler.wait_state("lost.1", "TASK_DROPPED")
    assert "uuid" in status
    assert time.time() - status["timestamp"] < 60
