"""What became of a deployment can be asked while it is under way and when it is over."""

import pytest

from scheduler.core.instance import TaskState


async def outcome(egret, deployment_id):
    answer = await egret.http.get(f"/v2/egret/deployments/{deployment_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def changed(egret):
    """An app that runs, and the deployment of another version of it."""
    await egret.deploy("/a")
    await egret.run_tasks()
    await egret.deployments_done()
    answer = await egret.http.patch("/v2/apps/a", json={"cmd": "sleep 2"})
    return answer.json()


async def test_one_that_is_under_way_says_what_it_waits_for(egret, changed):
    shown = await outcome(egret, changed["deploymentId"])
    assert (shown["id"], shown["outcome"]) == (changed["deploymentId"], "running")
    assert (shown["reason"], shown["endedAt"], shown["revertedBy"]) == (None, None, None)
    assert (shown["currentStep"], shown["totalSteps"]) == (1, 1)
    assert shown["version"] == changed["version"]
    (change,) = shown["changes"]
    assert (change["app"], change["after"]) == ("/a", changed["version"])
    assert change["before"] < change["after"]
    assert [block["app"] for block in shown["blockedBy"]] == ["/a"]


async def test_one_that_was_done_is_known_when_it_is_over(egret):
    created = await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    shown = await outcome(egret, created.headers["marathon-deployment-id"])
    assert (shown["outcome"], shown["reason"]) == ("done", None)
    assert shown["startedAt"] <= shown["endedAt"]
    assert shown["changes"] == [{"app": "/a", "before": None, "after": created.json()["version"]}]
    assert "blockedBy" not in shown


async def test_a_cancelled_one_names_the_one_that_takes_it_back(egret, changed):
    answer = await egret.http.delete(f"/v2/deployments/{changed['deploymentId']}")
    shown = await outcome(egret, changed["deploymentId"])
    assert (shown["outcome"], shown["reason"]) == ("cancelled", "cancelled")
    assert shown["revertedBy"] == answer.json()["deploymentId"]
    assert (await outcome(egret, shown["revertedBy"]))["reverts"] == changed["deploymentId"]


async def test_a_change_that_waits_is_queued_until_it_begins(egret, changed):
    waits = await egret.http.patch("/v2/apps/a?queue=true", json={"cmd": "sleep 3"})
    queued = waits.json()["deploymentId"]
    shown = await outcome(egret, queued)
    assert (shown["outcome"], shown["startedAt"]) == ("queued", None)
    assert shown["blockedBy"][0]["message"] == f"waits for deployment {changed['deploymentId']}"
    await egret.http.delete(f"/v2/deployments/{queued}")
    shown = await outcome(egret, queued)
    assert (shown["outcome"], shown["startedAt"], shown["changes"]) == ("cancelled", None, [])


async def test_one_that_failed_and_holds_its_apps_has_failed_without_an_end(egret):
    created = await egret.deploy("/a", instances=2, restartPolicy={"mode": "never"})
    await egret.offer()
    await egret.update(egret.launches()[0].instance.task_id, TaskState.FAILED)
    deployment_id = created.headers["marathon-deployment-id"]
    shown = await outcome(egret, deployment_id)
    assert (shown["outcome"], shown["endedAt"]) == ("failed", None)
    assert "restartPolicy" in shown["reason"]
    assert shown["paused"] == shown["reason"]


async def test_an_unknown_one_is_not_found(egret):
    answer = await egret.http.get("/v2/egret/deployments/nope")
    assert answer.status_code == 404
    assert answer.json() == {
        "message": "Deployment nope is not known: it never was, or is not kept any more"
    }
