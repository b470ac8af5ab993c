"""What a rehearsal says about the capacity on the way; steps and fields are tested with groups."""

from scheduler.api import dryrun

FLAT = {"upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5}}


async def running(egret, app_id, **fields):
    """Deploy an app and let all its tasks run."""
    await egret.deploy(app_id, cpus=0.1, **fields)
    task_ids = await egret.run_tasks()
    await egret.deployments_done()
    return task_ids


async def rehearse(egret, method, path, body=None):
    answer = await egret.http.request(method, f"{path}?dryRun=true", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def serving(capacity):
    return [(point["oldServing"], point["newServing"]) for point in capacity["points"]]


async def test_an_update_shows_its_tightest_moments_round_by_round(egret):
    await running(egret, "/a", instances=4, **FLAT)
    (capacity,) = (await rehearse(egret, "PUT", "/v2/apps/a", {"cmd": "y"}))["capacity"]
    points = capacity.pop("points")
    assert capacity == {
        "step": 1,
        "app": "/a",
        "rounds": 2,
        "mayStopFirst": False,
        "pointsLeftOut": 0,
    }
    assert points[1] == {
        "round": 1,
        "oldServing": 2,
        "newServing": 0,
        "alive": 6,
        "created": 2,
        "ended": 2,
        "minimum": 2,
        "maximum": 6,
        "awaitsPromotion": False,
    }
    assert serving({"points": points}) == [(4, 0), (2, 0), (0, 2), (0, 4)]


async def test_what_a_rehearsal_foretells_is_what_happens(egret):
    """Played with a cluster that does at once what it is asked for."""
    await running(egret, "/a", instances=4, **FLAT)
    (capacity,) = (await rehearse(egret, "PUT", "/v2/apps/a", {"cmd": "y"}))["capacity"]
    before = len(egret.launches())
    await egret.http.put("/v2/apps/a", json={"cmd": "y"})
    await egret.offer()
    assert len(egret.launches()) - before == capacity["points"][1]["created"]


async def test_a_start_a_scaling_and_a_removal_are_foretold_in_the_order_of_steps(egret):
    await running(egret, "/g/a", instances=2)
    await running(egret, "/g/gone", instances=1)
    body = {
        "id": "/g",
        "apps": [
            {"id": "web", "cmd": "x", "instances": 3, "dependencies": ["a"]},
            {"id": "a", "cmd": "sleep 1", "cpus": 0.1, "instances": 5},
        ],
    }
    answer = await rehearse(egret, "PUT", "/v2/groups", body)
    found = [(one["step"], one["app"], serving(one)) for one in answer["capacity"]]
    steps = answer["steps"]
    assert found == [
        (1, "/g/gone", [(1, 0), (0, 0), (0, 0)]),
        (3, "/g/a", [(0, 2), (0, 2), (0, 5)]),
        (4, "/g/web", [(0, 0), (0, 0), (0, 3)]),
    ]
    for step, app_id, _ in found:
        assert app_id in [action["app"] for action in steps[step - 1]["actions"]]


async def test_canaries_wait_for_their_promotion(egret):
    update = {"canaryInstances": 1, "autoPause": True}
    await running(egret, "/a", instances=2, update=update)
    (capacity,) = (await rehearse(egret, "PUT", "/v2/apps/a", {"cmd": "y"}))["capacity"]
    (wait,) = [point for point in capacity["points"] if point["awaitsPromotion"]]
    assert (wait["oldServing"], wait["newServing"], wait["alive"]) == (2, 1, 3)
    assert serving(capacity)[-1] == (0, 2)


async def test_fixed_ports_may_ask_for_a_stop_first(egret):
    fixed = {"requirePorts": True, "portDefinitions": [{"port": 31_500}]}
    await running(egret, "/a", instances=1, **fixed)
    (capacity,) = (await rehearse(egret, "PUT", "/v2/apps/a", {"cmd": "y"}))["capacity"]
    assert capacity["mayStopFirst"] is True


async def test_a_rehearsal_knows_what_a_stopped_deployment_has_left_mixed(egret):
    """Defining such an app once more, as it is, replaces what is left of the old version."""
    await running(egret, "/a", instances=2)
    await egret.http.put("/v2/apps/a", json={"cmd": "y"})
    (deployment_id,) = egret.runtime.world.deployments
    await egret.http.delete(f"/v2/deployments/{deployment_id}?force=true")
    answer = await rehearse(egret, "PUT", "/v2/apps/a", {"cmd": "y"})
    assert answer["steps"] == [{"actions": [{"action": "RestartApplication", "app": "/a"}]}]
    assert serving(answer["capacity"][0])[0] == (2, 0)
    assert serving(answer["capacity"][0])[-1] == (0, 2)


async def test_many_apps_get_fewer_points_each(egret, monkeypatch):
    monkeypatch.setattr(dryrun, "_POINTS_IN_ALL", 10)
    slow = {"update": {"order": "stopFirst", "maxParallel": 1}, "instances": 8}
    await running(egret, "/a", **slow)
    (capacity,) = (await rehearse(egret, "POST", "/v2/apps/a/restart"))["capacity"]
    assert len(capacity["points"]) == 10
    assert capacity["pointsLeftOut"] == capacity["rounds"] + 2 - 10


async def test_it_names_who_is_in_the_way_and_is_answered_all_the_same(egret):
    await running(egret, "/b")
    first = (await egret.deploy("/a")).headers["marathon-deployment-id"]
    waits = await egret.http.patch("/v2/apps/a?queue=true", json={"cmd": "y"})
    both = [{"id": "/a", "cmd": "z"}, {"id": "/b", "cmd": "z"}]
    found = await rehearse(egret, "PATCH", "/v2/apps", both)
    assert found["lockedBy"] == [
        {"id": first, "apps": ["/a"]},
        {"id": waits.json()["deploymentId"], "apps": ["/a"]},
    ]
    assert (await rehearse(egret, "PUT", "/v2/apps/b", {"cmd": "z"}))["lockedBy"] == []
