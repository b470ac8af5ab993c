import pytest

from scheduler.core.effects import Kill


async def two_apps(egret):
    await egret.deploy("/shop/web", instances=2)
    await egret.deploy("/shop/cart")
    return await egret.run_tasks()


async def test_tasks_are_listed_of_one_app_of_a_group_and_of_all(egret):
    task_ids = await two_apps(egret)
    web = (await egret.http.get("/v2/apps/shop/web/tasks")).json()["tasks"]
    assert {task["appId"] for task in web} == {"/shop/web"}
    for path in ("/v2/apps/shop/*/tasks", "/v2/tasks", "/v2/tasks/"):
        tasks = (await egret.http.get(path)).json()["tasks"]
        assert {task["id"] for task in tasks} == set(task_ids)


async def test_tasks_are_filtered_by_status(egret):
    await two_apps(egret)
    await egret.deploy("/staging")
    await egret.offer()
    running = (await egret.http.get("/v2/tasks?status=running")).json()["tasks"]
    staging = (await egret.http.get("/v2/tasks", params={"status[]": "staging"})).json()["tasks"]
    assert len(running) == 3
    assert [task["appId"] for task in staging] == ["/staging"]


@pytest.mark.parametrize("path", ["/v2/apps/nope/tasks", "/v2/apps/nope/*/tasks"])
async def test_tasks_of_an_unknown_app_are_answered_404(egret, path):
    assert (await egret.http.get(path)).status_code == 404


async def test_killing_a_task_shows_it_and_asks_mesos_to_kill_it(egret):
    await two_apps(egret)
    (task,) = (await egret.http.get("/v2/apps/shop/cart/tasks")).json()["tasks"]
    answer = await egret.http.delete(f"/v2/apps/shop/cart/tasks/{task['id']}")
    assert answer.status_code == 200
    assert answer.json()["task"]["id"] == task["id"]
    assert [call.task_id for call in egret.mesos if isinstance(call, Kill)] == [task["id"]]


async def test_killing_an_unknown_task_is_answered_404(egret):
    await two_apps(egret)
    answer = await egret.http.delete("/v2/apps/shop/cart/tasks/nope")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Task 'nope' does not exist"}


async def test_killing_all_tasks_may_be_limited_to_a_host(egret):
    await two_apps(egret)
    answer = await egret.http.delete("/v2/apps/shop/web/tasks?host=elsewhere")
    assert answer.json() == {"tasks": []}
    answer = await egret.http.delete("/v2/apps/shop/web/tasks?host=agent-1")
    assert len(answer.json()["tasks"]) == 2


async def test_killing_with_scale_lowers_the_instances(egret):
    task_ids = await two_apps(egret)
    await egret.deployments_done()
    web = next(task_id for task_id in task_ids if task_id.startswith("shop_web"))
    answer = await egret.http.post("/v2/tasks/delete?scale=true", json={"ids": [web]})
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "deploymentId"}
    assert (await egret.http.get("/v2/apps/shop/web")).json()["app"]["instances"] == 1


async def test_scale_and_wipe_exclude_each_other(egret):
    await two_apps(egret)
    answer = await egret.http.delete("/v2/apps/shop/web/tasks?scale=true&wipe=true")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"ids": 3}, 400), ({"ids": [3]}, 400), ([], 400), ({"ids": ["nonsense"]}, 400)],
)
async def test_a_list_of_ids_must_be_one(egret, body, status):
    assert (await egret.http.post("/v2/tasks/delete", json=body)).status_code == status


async def test_tasks_that_are_gone_are_passed_over(egret):
    answer = await egret.http.post("/v2/tasks/delete", json={"ids": ["a.instance-1._app.1"]})
    assert (answer.status_code, answer.json()) == (200, {"tasks": []})


async def test_a_kill_that_scales_cannot_be_queued_and_says_what_can(egret):
    """The tasks that were named would not be those that go when its turn comes."""
    task_ids = await two_apps(egret)
    await egret.deployments_done()
    for method, path, body in (
        ("POST", "/v2/tasks/delete", {"ids": task_ids}),
        ("DELETE", "/v2/apps/shop/web/tasks", None),
        ("DELETE", f"/v2/apps/shop/web/tasks/{task_ids[0]}", None),
    ):
        answer = await egret.http.request(method, f"{path}?scale=true&queue=true", json=body)
        assert answer.status_code == 400
        assert "`instances` of the app with queue=true" in answer.json()["message"]
    assert (await egret.http.get("/v2/apps/shop/web")).json()["app"]["instances"] == 2
