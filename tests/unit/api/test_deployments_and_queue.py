import json

import pytest


async def test_a_deployment_shows_its_steps_and_where_it_is(egret):
    created = await egret.deploy("/a")
    (shown,) = (await egret.http.get("/v2/deployments")).json()
    assert shown["id"] == created.headers["marathon-deployment-id"]
    assert shown["version"] == created.json()["version"]
    assert (shown["affectedApps"], shown["affectedPods"]) == (["/a"], [])
    assert shown["steps"] == [
        {"actions": [{"action": "StartApplication", "app": "/a"}]},
        {"actions": [{"action": "ScaleApplication", "app": "/a"}]},
    ]
    assert (shown["currentStep"], shown["totalSteps"]) == (2, 2)
    (action,) = shown["currentActions"]
    assert (action["action"], action["app"]) == ("ScaleApplication", "/a")


async def test_cancelling_a_deployment_takes_its_changes_back(egret):
    created = await egret.deploy("/a")
    deployment_id = created.headers["marathon-deployment-id"]
    answer = await egret.http.delete(f"/v2/deployments/{deployment_id}")
    assert answer.status_code == 200
    assert answer.json()["deploymentId"] != deployment_id
    assert (await egret.http.get("/v2/apps/a")).status_code == 404


async def test_cancelling_by_force_just_stops_it(egret):
    created = await egret.deploy("/a")
    deployment_id = created.headers["marathon-deployment-id"]
    answer = await egret.http.delete(f"/v2/deployments/{deployment_id}?force=true")
    assert answer.status_code == 202
    assert (await egret.http.get("/v2/apps/a")).status_code == 200
    assert (await egret.http.get("/v2/deployments")).json() == []


async def test_cancelling_an_unknown_deployment_is_answered_404(egret):
    answer = await egret.http.delete("/v2/deployments/nope")
    assert answer.status_code == 404
    assert answer.json() == {"message": "DeploymentPlan nope does not exist"}


async def test_the_queue_says_what_waits_and_what_the_offers_lacked(egret):
    await egret.deploy("/big", cpus=32, instances=2)
    await egret.offer(cpus=16)
    query = {"embed": ["lastUnusedOffers", "nearestMiss"]}
    (item,) = (await egret.http.get("/v2/queue", params=query)).json()["queue"]
    assert item["app"]["id"] == "/big"
    assert (item["count"], item["role"]) == (2, "*")
    assert item["delay"] == {"timeLeftSeconds": 0, "overdue": True}
    summary = item["processedOffersSummary"]
    assert (summary["processedOffersCount"], summary["unusedOffersCount"]) == (1, 1)
    lacks = {step["reason"]: step for step in summary["rejectSummaryLaunchAttempt"]}
    assert lacks["InsufficientCpus"] == {
        "reason": "InsufficientCpus",
        "declined": 1,
        "processed": 1,
    }
    assert lacks["InsufficientMemory"]["processed"] == 0
    (unused,) = item["lastUnusedOffers"]
    assert unused["reason"] == ["InsufficientCpus"]
    assert unused["offer"]["hostname"] == "agent-1"
    assert item["nearestMiss"]["reason"] == "InsufficientCpus"


async def test_the_queue_is_plain_unless_more_is_asked_for(egret):
    await egret.deploy("/a")
    (item,) = (await egret.http.get("/v2/queue")).json()["queue"]
    assert not {"lastUnusedOffers", "nearestMiss"} & set(item)


async def test_a_delay_is_reset_for_what_waits_only(egret):
    await egret.deploy("/a")
    assert (await egret.http.delete("/v2/queue/a/delay")).status_code == 204
    answer = await egret.http.delete("/v2/queue/nope/delay")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Application /nope not found in tasks queue."}


# ---------------------------------------------------------------------- additions


async def steer(egret, created, verb):
    deployment_id = created.headers["marathon-deployment-id"]
    answer = await egret.http.post(f"/v2/deployments/{deployment_id}/{verb}")
    assert answer.status_code == 200, answer.text
    return answer


async def shown_by_egret(egret):
    (shown,) = (await egret.http.get("/v2/deployments?embed=egret")).json()
    return shown["egret"]


async def test_a_deployment_says_what_it_waits_for_when_asked(egret):
    await egret.deploy("/big", cpus=32, instances=2)
    await egret.offer(cpus=16)
    (plain,) = (await egret.http.get("/v2/deployments")).json()
    assert "egret" not in plain
    more = await shown_by_egret(egret)
    assert (more["paused"], more["promoted"], more["reverts"]) == (None, False, None)
    (block,) = more["blockedBy"]
    assert (block["app"], block["reason"], block["instances"]) == ("/big", "offers", 2)
    assert block["refusals"] == [{"reason": "InsufficientCpus", "offers": 1}]
    assert block["nearestMiss"]["host"] == "agent-1"


async def test_a_deployment_is_paused_and_goes_on(egret):
    created = await egret.deploy("/a")
    await steer(egret, created, "pause")
    more = await shown_by_egret(egret)
    assert more["paused"] == "paused by an operator"
    assert [block["reason"] for block in more["blockedBy"]] == ["paused"]
    await steer(egret, created, "resume")
    assert (await shown_by_egret(egret))["paused"] is None
    await egret.run_tasks()
    await egret.deployments_done()


async def test_canaries_are_promoted(egret):
    await egret.deploy("/a")
    await egret.run_tasks()
    update = {"cmd": "sleep 2", "update": {"canaryInstances": 1, "autoPause": True}}
    changed = await egret.http.patch("/v2/apps/a", json=update)
    await steer(egret, changed, "promote")
    assert (await shown_by_egret(egret))["promoted"] is True


async def test_what_has_no_canaries_is_not_promoted(egret):
    created = await egret.deploy("/a")
    deployment_id = created.headers["marathon-deployment-id"]
    answer = await egret.http.post(f"/v2/deployments/{deployment_id}/promote")
    assert answer.status_code == 409
    assert answer.json()["message"].startswith(f"No canaries of deployment {deployment_id} wait")


async def test_an_aborted_deployment_is_taken_back_and_its_version_says_why(egret):
    await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    changed = await egret.http.patch("/v2/apps/a", json={"cmd": "sleep 2", "instances": 1})
    version = changed.json()["version"]
    answer = await steer(egret, changed, "abort")
    assert answer.json()["deploymentId"] != changed.json()["deploymentId"]
    assert (await egret.http.get("/v2/apps/a")).json()["app"]["cmd"] == "sleep 1"
    plain = (await egret.http.get(f"/v2/apps/a/versions/{version}")).json()
    assert "rolledBack" not in plain
    asked = (await egret.http.get(f"/v2/apps/a/versions/{version}?embed=rolledBack")).json()
    assert (asked["rolledBack"]["version"], asked["rolledBack"]["reason"]) == (version, "cancelled")
    app = (await egret.http.get("/v2/apps/a?embed=app.rolledBack")).json()["app"]
    assert app["rolledBack"] == [asked["rolledBack"]]


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
async def test_steering_an_unknown_deployment_is_answered_404(egret, verb):
    answer = await egret.http.post(f"/v2/deployments/nope/{verb}")
    assert answer.status_code == 404
    assert answer.json() == {"message": "DeploymentPlan nope does not exist"}


async def test_a_change_may_wait_for_the_deployment_in_its_way(egret):
    """Marathon answers 409 and leaves its users to write retry loops."""
    await egret.deploy("/a", cmd="one")
    refused = await egret.http.put("/v2/apps/a", json={"cmd": "two"})
    assert refused.status_code == 409
    waiting = await egret.http.put("/v2/apps/a?queue=true", json={"cmd": "two"})
    assert waiting.status_code == 200
    queued_id = waiting.json()["deploymentId"]
    shown = (await egret.http.get("/v2/deployments?embed=egret")).json()
    (item,) = [one for one in shown if one["id"] == queued_id]
    assert item["affectedApps"] == ["/a"]
    assert item["egret"]["blockedBy"][0]["reason"] == "deployment"
    (first,) = [one["id"] for one in shown if one["id"] != queued_id]
    await egret.http.delete(f"/v2/deployments/{first}?force=true")
    assert (await egret.http.get("/v2/apps/a")).json()["app"]["cmd"] == "two"


async def test_what_waits_and_is_dropped_is_told_as_a_failed_deployment(egret):
    await egret.deploy("/a", cmd="one")
    waiting = await egret.http.put("/v2/apps/a?queue=true", json={"cmd": "two"})
    queued_id = waiting.json()["deploymentId"]
    client = egret.app.state.api.hub.join(frozenset({"deployment_failed"}), None)
    await egret.http.delete(f"/v2/deployments/{queued_id}")
    (frame,) = client.frames
    event = json.loads(frame.partition(b"data: ")[2])
    assert (event["id"], event["reason"]) == (queued_id, "cancelled")
    assert (event["plan"]["id"], event["plan"]["steps"]) == (queued_id, [])


async def test_what_waits_cannot_be_paused_yet(egret):
    await egret.deploy("/a", cmd="one")
    waiting = await egret.http.put("/v2/apps/a?queue=true", json={"cmd": "two"})
    queued_id = waiting.json()["deploymentId"]
    answer = await egret.http.post(f"/v2/deployments/{queued_id}/pause")
    assert answer.status_code == 409
    assert "has not begun yet" in answer.json()["message"]


async def test_a_removal_that_is_told_to_wait_does_not_override(egret):
    created = await egret.deploy("/a")
    first = created.headers["marathon-deployment-id"]
    waiting = await egret.http.delete("/v2/apps/a?queue=true")
    shown = (await egret.http.get("/v2/deployments")).json()
    assert [one["id"] for one in shown] == [first, waiting.json()["deploymentId"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/apps", {"id": "/b", "cmd": "b"}),
        ("PUT", "/v2/apps/a", {"cmd": "two"}),
        ("PUT", "/v2/apps/a?dryRun=true", {"cmd": "two"}),
        ("DELETE", "/v2/apps/a", None),
        ("POST", "/v2/apps/a/restart", None),
        ("PUT", "/v2/groups", {"apps": []}),
        ("DELETE", "/v2/apps/a/tasks", None),
    ],
)
async def test_a_slip_in_queue_is_refused_and_changes_nothing(egret, method, path, body):
    await egret.deploy("/a", cmd="one")
    mark = "&" if "?" in path else "?"
    answer = await egret.http.request(method, f"{path}{mark}queue=banana", json=body)
    assert answer.status_code == 400
    assert answer.json() == {"message": "queue must be true or false, not 'banana'"}
    assert (await egret.http.get("/v2/apps/a")).json()["app"]["cmd"] == "one"
    assert (await egret.http.get("/v2/apps/b")).status_code == 404
