"""/v2/groups: a tree that changes as a whole or not at all."""

import pytest

APP = {"cmd": "sleep 1", "instances": 0}


def ids(group):
    """Name every app in a shown group."""
    inner = [app_id for child in group.get("groups", []) for app_id in ids(child)]
    return [app["id"] for app in group.get("apps", [])] + inner


async def put(egret, body, path="/v2/groups", **query):
    answer = await egret.http.put(path, json=body, params=query)
    if answer.status_code < 300:
        await egret.deployments_done()
    return answer


async def shop(egret):
    body = {
        "id": "/shop",
        "dependencies": ["/db"],
        "apps": [{"id": "web", **APP}, {"id": "/shop/cart", **APP}],
        "groups": [{"id": "back", "apps": [{"id": "jobs", **APP}]}],
    }
    return await put(egret, body)


async def test_the_root_is_there_from_the_start(egret):
    shown = (await egret.http.get("/v2/groups")).json()
    assert (shown["id"], shown["apps"], shown["groups"], shown["pods"]) == ("/", [], [], [])


async def test_put_creates_a_tree_in_one_deployment(egret):
    answer = await shop(egret)
    assert answer.status_code == 200
    assert answer.json()["deploymentId"] == answer.headers["marathon-deployment-id"]
    shown = (await egret.http.get("/v2/groups/shop/")).json()
    assert ids(shown) == ["/shop/web", "/shop/cart", "/shop/back/jobs"]
    assert shown["dependencies"] == ["/db"]
    assert shown["version"] == answer.json()["version"]
    assert "tasksRunning" not in shown["apps"][0]


async def test_what_is_listed_replaces_and_what_is_not_mentioned_stays(egret):
    await shop(egret)
    await put(egret, {"apps": [{"id": "web", **APP}]}, "/v2/groups/shop")
    assert ids((await egret.http.get("/v2/groups")).json()) == ["/shop/web", "/shop/back/jobs"]
    await put(egret, {"id": "/shop", "groups": []})
    assert ids((await egret.http.get("/v2/groups")).json()) == ["/shop/web"]
    shown = (await egret.http.get("/v2/groups/shop")).json()
    assert (shown["groups"], shown["dependencies"]) == ([], ["/db"])


async def test_a_group_that_is_put_again_unchanged_restarts_nothing(egret):
    await shop(egret)
    before = (await egret.http.get("/v2/apps/shop/web")).json()["app"]["version"]
    await shop(egret)
    assert (await egret.http.get("/v2/apps/shop/web")).json()["app"]["version"] == before


async def test_what_get_shows_of_the_root_can_be_put_back(egret):
    await shop(egret)
    dump = (await egret.http.get("/v2/groups")).json()
    await egret.http.delete("/v2/groups?force=true")
    await egret.deployments_done()
    answer = await put(egret, dump, strict="true")
    assert answer.status_code == 200, answer.text
    again = (await egret.http.get("/v2/groups")).json()

    def without_versions(group):
        apps = [
            {k: v for k, v in app.items() if not k.startswith("version")} for app in group["apps"]
        ]
        groups = [without_versions(child) for child in group["groups"]]
        return {"id": group["id"], "dependencies": group["dependencies"], "a": apps, "g": groups}

    assert without_versions(again) == without_versions(dump)


async def test_one_bad_app_changes_nothing(egret):
    body = {
        "id": "/shop",
        "apps": [{"id": "web", **APP}, {"id": "cart", "cmd": "x", "instances": -1}],
        "groups": [{"id": "back", "apps": [{"id": "jobs", "cpus": 0}]}],
    }
    answer = await put(egret, body)
    assert answer.status_code == 422
    assert {entry["path"] for entry in answer.json()["details"]} == {
        "/apps(1)/instances",
        "/groups(0)/apps(0)/cpus",
        "/groups(0)/apps(0)",
    }
    assert ids((await egret.http.get("/v2/groups")).json()) == []


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ([], 400, "/"),
        ({"apps": {}}, 400, "/apps"),
        ({"groups": [3]}, 400, "/groups(0)"),
        ({"groups": [{"apps": [{"id": 3}]}]}, 400, "/groups(0)/apps(0)/id"),
        ({"groups": [{}]}, 422, "/groups(0)/id"),
        ({"groups": [{"id": "/a/b"}]}, 422, "/groups(0)/id"),
        ({"id": "UPPER"}, 422, "/id"),
        ({"apps": [{"id": "/b/web", **APP}], "id": "/shop"}, 422, "/apps(0)/id"),
        ({"apps": [{"id": "a", **APP}, {"id": "/a", **APP}]}, 422, "/apps"),
        ({"groups": [{"id": "a"}, {"id": "/a"}]}, 422, "/groups"),
        ({"apps": [{"id": "a", **APP}], "groups": [{"id": "a"}]}, 422, "/"),
        ({"scaleBy": 2, "apps": []}, 422, "/scaleBy"),
        ({"scaleBy": -1}, 422, "/scaleBy"),
        ({"groups": [{"id": "a", "scaleBy": 2}]}, 422, "/groups"),
        ({"pods": [{"id": "p"}]}, 422, "/pods"),
        ({"enforceRole": True, "id": "/a"}, 422, "/enforceRole"),
        ({"dependencies": ["A"]}, 422, "/dependencies(0)"),
    ],
)
async def test_a_broken_tree_is_refused_by_path(egret, body, status, path):
    answer = await put(egret, body)
    assert answer.status_code == status
    assert path in {entry["path"] for entry in answer.json()["details"]}


async def test_an_app_and_a_group_cannot_share_an_id(egret):
    await egret.deploy("/shop/web", instances=0)
    for path, body in (
        ("/v2/apps", {"id": "/shop", **APP}),
        ("/v2/apps", {"id": "/shop/web/inner", **APP}),
    ):
        answer = await egret.http.post(path, json=body)
        assert answer.status_code == 422
        assert "same identifier" in answer.text
    answer = await put(egret, {"id": "/shop", "groups": [{"id": "web"}]})
    assert answer.status_code == 422


async def test_a_circle_through_groups_is_refused(egret):
    body = {
        "groups": [
            {"id": "/a", "dependencies": ["/b"], "apps": [{"id": "x", **APP}]},
            {"id": "/b", "dependencies": ["/a"], "apps": [{"id": "y", **APP}]},
        ]
    }
    answer = await put(egret, body)
    assert answer.status_code == 422
    assert "cyclic" in answer.text
    assert ids((await egret.http.get("/v2/groups")).json()) == []


async def test_post_creates_once(egret):
    answer = await egret.http.post("/v2/groups", json={"id": "shop", "apps": [{"id": "a", **APP}]})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v2/groups/shop"
    await egret.deployments_done()
    answer = await egret.http.post("/v2/groups", json={"id": "/shop"})
    assert answer.status_code == 409
    assert answer.json() == {
        "message": "Group /shop is already created. Use PUT to change this group."
    }
    answer = await egret.http.post("/v2/groups/shop", json={"id": "a"})
    assert answer.status_code == 409


async def test_an_empty_group_stays_until_it_is_removed(egret):
    await egret.http.post("/v2/groups", json={"id": "/empty"})
    await egret.deploy("/shop/web", instances=0)
    await egret.deployments_done()
    await egret.http.delete("/v2/apps/shop/web")
    await egret.deployments_done()
    shown = (await egret.http.get("/v2/groups")).json()
    assert {group["id"] for group in shown["groups"]} == {"/empty", "/shop"}
    assert (await egret.http.delete("/v2/groups/shop")).status_code == 200
    assert (await egret.http.get("/v2/groups/shop")).status_code == 404
    assert (await egret.http.delete("/v2/groups/shop")).status_code == 404


async def test_deleting_a_group_removes_everything_in_it(egret):
    await shop(egret)
    await egret.deploy("/other", instances=0)
    await egret.deployments_done()
    answer = await egret.http.delete("/v2/groups/shop")
    assert set(answer.json()) == {"version", "deploymentId"}
    await egret.deployments_done()
    assert ids((await egret.http.get("/v2/groups")).json()) == ["/other"]
    await egret.http.delete("/v2/groups")
    await egret.deployments_done()
    assert (await egret.http.get("/v2/apps")).json() == {"apps": []}


async def test_scale_by_multiplies_and_rounds_up(egret):
    body = {"id": "/g", "apps": [{"id": "a", **APP}, {"id": "b", **APP, "instances": 3}]}
    await egret.http.put("/v2/groups", json=body)
    await egret.run_tasks()
    await egret.deployments_done()
    answer = await egret.http.put("/v2/groups/g", json={"scaleBy": 0.5})
    assert answer.status_code == 200
    assert (await egret.http.get("/v2/apps/g/b")).json()["app"]["instances"] == 2
    assert (await egret.http.put("/v2/groups/nope", json={"scaleBy": 2})).status_code == 404


async def test_a_group_goes_back_to_a_version(egret):
    first = (await shop(egret)).json()["version"]
    await put(egret, {"id": "/shop", "apps": [{"id": "web", **APP, "cmd": "new"}]})
    await egret.deploy("/shop/late", instances=0)
    await egret.deployments_done()
    versions = (await egret.http.get("/v2/groups/shop/versions")).json()
    assert first in versions
    past = (await egret.http.get(f"/v2/groups/shop/versions/{first}")).json()
    assert {app["id"]: app["cmd"] for app in past["apps"]} == {"/shop/web": "sleep 1"}
    answer = await put(egret, {"version": first}, "/v2/groups/shop")
    assert answer.status_code == 200
    shown = (await egret.http.get("/v2/groups/shop")).json()
    assert {app["id"]: app["cmd"] for app in shown["apps"]} == {"/shop/web": "sleep 1"}
    answer = await put(egret, {"version": "2001-01-01T00:00:00.000Z"}, "/v2/groups/shop")
    assert answer.status_code == 404


async def test_keep_scale_keeps_what_was_scaled(egret):
    await egret.http.put("/v2/groups", json={"id": "/g", "apps": [{"id": "a", "cmd": "x"}]})
    await egret.http.put("/v2/apps/g/a?force=true", json={"instances": 4})
    await egret.run_tasks()
    await egret.deployments_done()
    body = {"id": "/g", "apps": [{"id": "a", "cmd": "x", "labels": {"v": "2"}}]}
    await egret.http.put("/v2/groups?keepScale=true&force=true", json=body)
    assert (await egret.http.get("/v2/apps/g/a")).json()["app"]["instances"] == 4
    await egret.http.put("/v2/groups?force=true", json=body)
    assert (await egret.http.get("/v2/apps/g/a")).json()["app"]["instances"] == 1


async def test_embeds_choose_what_is_shown(egret):
    await shop(egret)
    shown = (await egret.http.get("/v2/groups/shop?embed=group.groups")).json()
    assert "apps" not in shown
    assert [group["id"] for group in shown["groups"]] == ["/shop/back"]
    query = {"embed": ["group.apps", "group.apps.counts"]}
    shown = (await egret.http.get("/v2/groups/shop", params=query)).json()
    assert shown["apps"][0]["tasksRunning"] == 0
    assert "groups" not in shown
    apps = (await egret.http.get("/v2/groups/shop/apps")).json()
    assert [app["id"] for app in apps] == ["/shop/web", "/shop/cart", "/shop/back/jobs"]


async def test_a_dry_run_shows_steps_and_differences_and_changes_nothing(egret):
    await shop(egret)
    body = {
        "id": "/shop",
        "apps": [{"id": "web", **APP, "instances": 2}, {"id": "new", **APP}],
    }
    answer = await put(egret, body, dryRun="true")
    assert answer.status_code == 200
    actions = [
        (action["action"], action["app"])
        for step in answer.json()["steps"]
        for action in step["actions"]
    ]
    assert ("StopApplication", "/shop/cart") in actions
    assert ("StartApplication", "/shop/new") in actions
    assert ("ScaleApplication", "/shop/web") in actions
    differences = {change["app"]: change["fields"] for change in answer.json()["changes"]}
    assert differences["/shop/web"] == [{"field": "instances", "before": 0, "after": 2}]
    shown = (await egret.http.get("/v2/groups/shop")).json()
    assert ids(shown) == ["/shop/web", "/shop/cart", "/shop/back/jobs"]


async def test_every_write_of_an_app_can_be_rehearsed(egret):
    await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    version = (await egret.http.get("/v2/apps/a")).json()["app"]["version"]
    rehearsals = [
        ("POST", "/v2/apps", {"id": "/b", **APP}, "StartApplication"),
        ("PUT", "/v2/apps/a", {"cmd": "y"}, "RestartApplication"),
        ("PATCH", "/v2/apps/a", {"instances": 2}, "ScaleApplication"),
        ("PUT", "/v2/apps", [{"id": "/a", "cmd": "y"}], "RestartApplication"),
        ("DELETE", "/v2/apps/a", None, "StopApplication"),
        ("POST", "/v2/apps/a/restart", None, "RestartApplication"),
    ]
    for method, path, body, action in rehearsals:
        answer = await egret.http.request(method, f"{path}?dryRun=true", json=body)
        assert answer.status_code == 200, (method, path, answer.text)
        assert answer.json()["steps"][0]["actions"][0]["action"] == action
    apps = (await egret.http.get("/v2/apps")).json()["apps"]
    assert [(app["id"], app["version"]) for app in apps] == [("/a", version)]


async def test_a_conditional_change_of_a_group_needs_its_version(egret):
    version = (await shop(egret)).json()["version"]
    stale = {"If-Match": "2001-01-01T00:00:00.000Z"}
    answer = await egret.http.put("/v2/groups/shop", json={"groups": []}, headers=stale)
    assert answer.status_code == 409
    fresh = {"If-Match": f'"{version}"'}
    answer = await egret.http.put("/v2/groups/shop", json={"groups": []}, headers=fresh)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/v2/groups", 405), ("/v2/groups/a/b", 422), ("/v2/groups/shop", 200)]
)
async def test_only_top_level_groups_can_be_patched(egret, path, status):
    await shop(egret)
    answer = await egret.http.patch(path, json={"enforceRole": False})
    assert answer.status_code == status
