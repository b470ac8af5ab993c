"""What Egret shows beside Marathon: discovery, unknown tasks, and what tasks said of readiness."""

from typing import Any

import pytest

from scheduler.api import ApiConfig
from scheduler.core.events import ReadinessResult, StatusUpdate
from scheduler.core.ids import AgentId, AppId, TaskId
from scheduler.core.instance import TaskState
from scheduler.discovery import DiscoveryStatus, Mode, Refusal, SyncStatus
from scheduler.health import LastResponse
from scheduler.health.fetch import Response
from tests.unit.api.conftest import Setup, evolve, running_egret

REFUSED = Refusal(AppId("/shop-web"), "shop-web", "/shop/web has the name")
STATUS = DiscoveryStatus(
    Mode.AGENT,
    SyncStatus(desired=3, registered=2, pending=1, lag_ms=1500, last_success_ms=0, failures=7),
    (REFUSED,),
)


async def test_without_consul_discovery_is_said_to_be_off(egret: Any):
    answer = await egret.http.get("/v2/egret/discovery")
    assert answer.json() == {"mode": "off", "refusals": []}


async def test_discovery_shows_how_far_consul_is_and_what_is_refused():
    config = evolve(ApiConfig(), discovery=lambda: STATUS)
    async with running_egret(Setup(config=config)) as egret:
        answer = await egret.http.get("/v2/egret/discovery")
    assert answer.json() == {
        "mode": "agent",
        "desired": 3,
        "registered": 2,
        "pending": 1,
        "lagSeconds": 1.5,
        "lastSuccess": "1970-01-01T00:00:00.000Z",
        "lastError": None,
        "failures": 7,
        "refusals": [{"app": "/shop-web", "name": "shop-web", "reason": "/shop/web has the name"}],
    }


async def test_tasks_that_nobody_knows_are_listed_with_what_becomes_of_them(egret: Any):
    assert (await egret.http.get("/v2/egret/unknown-tasks")).json() == {"tasks": []}
    await egret.deploy("/a", instances=2)
    ours, _ = await egret.run_tasks()
    await egret.update(ours, TaskState.FAILED)
    for task_id in (TaskId("somebody.else"), TaskId(ours)):
        update = StatusUpdate(task_id, TaskState.RUNNING, AgentId("id-of-agent-1"))
        egret.runtime.post(update)
    await egret.settled()
    (stranger, ended) = (await egret.http.get("/v2/egret/unknown-tasks")).json()["tasks"]
    assert stranger == {
        "id": "somebody.else",
        "state": "TASK_RUNNING",
        "slaveId": "id-of-agent-1",
        "host": "agent-1",
        "endedByUs": False,
        "killed": False,
    }
    assert (ended["id"], ended["endedByUs"]) == (ours, True)


READY = {
    "portDefinitions": [{"name": "http", "port": 0}],
    "readinessChecks": [{"name": "warm", "portName": "http", "preserveLastResponse": True}],
}


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_deployment_shows_who_is_ready_and_what_they_said(keeps: bool):
    last = LastResponse("warm", Response(503, "text/plain", "warming up"))
    config = evolve(ApiConfig(), last_response=lambda _: last if keeps else None)
    async with running_egret(Setup(config=config)) as egret:
        await egret.deploy("/a", **READY)
        (task_id,) = await egret.run_tasks()
        (shown,) = (await egret.http.get("/v2/deployments")).json()
        expected: dict[str, Any] = {"name": "warm", "taskId": task_id, "ready": False}
        if keeps:
            expected["lastResponse"] = {
                "status": 503,
                "contentType": "text/plain",
                "body": "warming up",
            }
        assert shown["currentActions"][0]["readinessCheckResults"] == [expected]
        egret.runtime.post(ReadinessResult(TaskId(str(task_id)), "warm", ready=True))
        await egret.deployments_done()
        app = (await egret.http.get("/v2/apps/a?embed=app.readiness")).json()["app"]
        assert app["readinessCheckResults"] == [{**expected, "ready": True}]
