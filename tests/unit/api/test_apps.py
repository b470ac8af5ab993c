"""/v2/apps: what clients of Marathon may rely on."""

import asyncio

import pytest

from scheduler.api import ApiConfig
from scheduler.core import Settings
from scheduler.core.instance import TaskState
from scheduler.spec import SpecRules
from tests.unit.api.conftest import Setup, running_egret


def details_of(answer):
    return {entry["path"]: entry["errors"] for entry in answer.json()["details"]}


# ----------------------------------------------------------------------- creating


async def test_post_creates_an_app_and_shows_it(egret):
    answer = await egret.http.post("/v2/apps", json={"id": "shop/web", "cmd": "x", "instances": 0})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v2/apps/shop/web"
    shown = answer.json()
    assert shown["id"] == "/shop/web"
    assert shown["deployments"] == [{"id": answer.headers["marathon-deployment-id"]}]
    assert shown["version"] == shown["versionInfo"]["lastConfigChangeAt"]
    assert shown["tasks"] == []
    assert shown["tasksRunning"] == 0


async def test_posting_an_app_twice_is_a_conflict(egret):
    await egret.deploy("/a")
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x"})
    assert answer.status_code == 409
    assert answer.json() == {"message": "An app with id [/a] already exists."}


async def test_a_wrong_type_is_answered_400_with_its_path(egret):
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x", "cpus": "1"})
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "Invalid JSON",
        "details": [{"path": "/cpus", "errors": ["expected a number, got a string"]}],
    }


@pytest.mark.parametrize(
    "body", ["", "{", '{"id": NaN}', '{"id": "/a", "id": "/b"}', "[" * 80 + "]" * 80, '"\\ud800"']
)
async def test_text_that_is_no_sound_json_is_answered_400(egret, body):
    answer = await egret.http.post(
        "/v2/apps", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid JSON"


async def test_every_broken_rule_is_answered_422_at_once(egret):
    answer = await egret.http.post(
        "/v2/apps",
        json={
            "id": "/a",
            "cmd": "x",
            "instances": -1,
            "constraints": [["hostname", "NEAR"]],
            "container": {
                "type": "MESOS",
                "volumes": [{"containerPath": "d", "mode": "RW", "persistent": {"size": 1}}],
            },
        },
    )
    assert answer.status_code == 422
    assert answer.json()["message"] == "Object is not valid"
    assert set(details_of(answer)) == {
        "/instances",
        "/constraints(0)",
        "/container/volumes(0)/persistent",
    }


async def test_unknown_fields_are_named_in_a_header(egret):
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x", "replicas": 3})
    assert answer.status_code == 201
    assert answer.headers["x-egret-ignored-fields"] == "/replicas"


async def test_unknown_fields_are_refused_when_asked_to_be_strict(egret):
    body = {"id": "/a", "cmd": "x", "replicas": 3}
    answer = await egret.http.post("/v2/apps?strict=true", json=body)
    assert answer.status_code == 422
    assert set(details_of(answer)) == {"/replicas"}
    assert (await egret.http.get("/v2/apps/a")).status_code == 404


async def test_a_body_without_content_type_is_read(egret):
    answer = await egret.http.post("/v2/apps", content=b'{"id": "/a", "cmd": "x"}')
    assert answer.status_code == 201


async def test_a_form_is_refused(egret):
    answer = await egret.http.post(
        "/v2/apps", content=b'{"id": "/a"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415


async def test_a_circle_of_dependencies_is_refused(egret):
    await egret.deploy("/a", dependencies=["/b"], instances=0)
    answer = await egret.http.post(
        "/v2/apps", json={"id": "/b", "cmd": "x", "dependencies": ["/a"], "instances": 0}
    )
    assert answer.status_code == 422
    assert details_of(answer) == {"/": ["Dependency graph has cyclic dependencies."]}


# ------------------------------------------------------------------------ reading


async def test_the_list_shows_counts_and_deployments_of_every_app(egret):
    await egret.deploy("/a", instances=2)
    await egret.deploy("/b", instances=0)
    await egret.run_tasks()
    for path in ("/v2/apps", "/v2/apps/"):
        apps = (await egret.http.get(path)).json()["apps"]
        assert [(app["id"], app["tasksRunning"]) for app in apps] == [("/a", 2), ("/b", 0)]
        assert all("tasks" not in app for app in apps)
        assert all("deployments" in app for app in apps)


async def test_the_list_embeds_what_is_asked_for(egret):
    await egret.deploy("/a")
    await egret.run_tasks()
    query = {"embed": ["apps.tasks", "apps.taskStats"]}
    (app,) = (await egret.http.get("/v2/apps", params=query)).json()["apps"]
    assert app["tasks"][0]["state"] == "TASK_RUNNING"
    assert app["taskStats"]["totalSummary"]["stats"]["counts"] == {
        "staged": 0,
        "running": 1,
        "healthy": 0,
        "unhealthy": 0,
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"id": "WEB"}, ["/shop/web"]),
        ({"cmd": "SERVE"}, ["/shop/cart"]),
        ({"label": "tier"}, ["/shop/web", "/shop/cart"]),
        ({"label": "tier==front"}, ["/shop/web"]),
        ({"label": "tier!=front"}, ["/shop/cart"]),
        ({"label": "tier in (front, back)"}, ["/shop/web", "/shop/cart"]),
        ({"label": "tier notin (front), team==x"}, ["/shop/cart"]),
        ({"label": "team"}, ["/shop/cart"]),
        ({"id": "web", "label": "team"}, []),
    ],
)
async def test_the_list_is_filtered(egret, query, ids):
    await egret.deploy("/shop/web", labels={"tier": "front"}, instances=0)
    await egret.deploy(
        "/shop/cart", cmd="./serve", labels={"tier": "back", "team": "x"}, instances=0
    )
    await egret.deploy("/other", instances=0)
    answer = await egret.http.get("/v2/apps", params=query)
    assert [app["id"] for app in answer.json()["apps"]] == ids


async def test_a_broken_selector_is_answered_400(egret):
    answer = await egret.http.get("/v2/apps", params={"label": "tier in ("})
    assert answer.status_code == 400


async def test_one_app_shows_tasks_and_the_last_failure(egret):
    await egret.deploy("/a", healthChecks=[{"path": "/"}])
    (task_id,) = await egret.run_tasks()
    await egret.probe(task_id, alive=True)
    app = (await egret.http.get("/v2/apps//a")).json()["app"]
    (task,) = app["tasks"]
    assert task["id"] == task_id
    assert task["host"] == "agent-1"
    assert 31_000 <= task["ports"][0] <= 31_999
    assert task["ipAddresses"] == [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}]
    assert task["healthCheckResults"][0]["alive"] is True
    assert app["tasksHealthy"] == 1
    assert "lastTaskFailure" not in app

    await egret.update(task_id, TaskState.FAILED, message="exit 3")
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert app["tasks"] == []
    assert app["lastTaskFailure"]["message"] == "exit 3"
    assert app["lastTaskFailure"]["state"] == "TASK_FAILED"


async def test_a_wildcard_shows_the_apps_of_a_group(egret):
    for app_id in ("/shop/web", "/shop/back/jobs", "/shopping"):
        await egret.deploy(app_id, instances=0)
    shown = (await egret.http.get("/v2/apps/shop/*")).json()["*"]
    assert [app["id"] for app in shown] == ["/shop/web", "/shop/back/jobs"]


@pytest.mark.parametrize("app_id", ["nope", "A", "%C3%A9", "a//b"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_app_is_answered_404(egret, method, app_id):
    answer = await egret.http.request(method, f"/v2/apps/{app_id}", json={})
    assert answer.status_code == 404
    assert "does not exist" in answer.json()["message"]


async def test_versions_are_listed_newest_first_and_can_be_read(egret):
    first = (await egret.deploy("/a", instances=0)).json()["version"]
    await egret.deployments_done()
    second = (await egret.http.put("/v2/apps/a", json={"cmd": "y"})).json()["version"]
    answer = await egret.http.get("/v2/apps/a/versions")
    assert answer.json() == {"versions": [second, first]}
    shown = (await egret.http.get(f"/v2/apps/a/versions/{first}")).json()
    assert (shown["cmd"], shown["version"]) == ("sleep 1", first)
    assert (await egret.http.get("/v2/apps/a/versions/2001-01-01")).status_code == 404
    assert (await egret.http.get("/v2/apps/a/versions/yesterday")).status_code == 422


# ----------------------------------------------------------------------- changing


async def test_put_merges_into_an_app(egret):
    await egret.deploy("/a", instances=0, env={"A": "1"}, labels={"x": "y"})
    await egret.deployments_done()
    answer = await egret.http.put("/v2/apps/a", json={"env": {"B": "2"}})
    assert answer.status_code == 200
    assert answer.json()["deploymentId"] == answer.headers["marathon-deployment-id"]
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert (app["env"], app["labels"], app["cmd"]) == ({"B": "2"}, {"x": "y"}, "sleep 1")
    assert app["version"] == answer.json()["version"]


async def test_put_replaces_an_app_when_told_so(egret):
    await egret.deploy("/a", instances=0, env={"A": "1"})
    await egret.deployments_done()
    body = {"cmd": "y", "instances": 0}
    await egret.http.put("/v2/apps/a?partialUpdate=false", json=body)
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert "env" not in app
    assert app["cmd"] == "y"


async def test_put_creates_an_app_that_is_not_there(egret):
    answer = await egret.http.put("/v2/apps/a", json={"cmd": "x", "instances": 0})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v2/apps/a"
    assert set(answer.json()) == {"version", "deploymentId"}


async def test_scaling_keeps_the_config_version(egret):
    created = (await egret.deploy("/a", instances=0)).json()["version"]
    await egret.deployments_done()
    scaled = (await egret.http.put("/v2/apps/a", json={"instances": 2})).json()["version"]
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert app["versionInfo"] == {"lastConfigChangeAt": created, "lastScalingAt": scaled}


async def test_the_id_of_body_and_path_must_agree(egret):
    answer = await egret.http.put("/v2/apps/a", json={"id": "/b", "cmd": "x"})
    assert answer.status_code == 422
    assert set(details_of(answer)) == {"/id"}


async def test_a_version_alone_rolls_back(egret):
    first = (await egret.deploy("/a", instances=0)).json()["version"]
    await egret.deployments_done()
    await egret.http.put("/v2/apps/a", json={"cmd": "y"})
    await egret.deployments_done()
    assert (await egret.http.put("/v2/apps/a", json={"version": first})).status_code == 200
    assert (await egret.http.get("/v2/apps/a")).json()["app"]["cmd"] == "sleep 1"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": "2001-01-01T00:00:00.000Z"}, 404),
        ({"version": "2001-01-01T00:00:00.000Z", "cmd": "x"}, 422),
        ({"version": "yesterday"}, 422),
        ({"version": 3}, 400),
    ],
)
async def test_a_rollback_names_a_version_there_is_and_nothing_else(egret, body, status):
    await egret.deploy("/a", instances=0)
    answer = await egret.http.put("/v2/apps/a", json=body)
    assert answer.status_code == status


async def test_an_app_under_deployment_is_locked_unless_forced(egret):
    first = await egret.deploy("/a", instances=1)
    answer = await egret.http.put("/v2/apps/a", json={"cmd": "y"})
    assert answer.status_code == 409
    assert answer.json()["deployments"] == [{"id": first.headers["marathon-deployment-id"]}]
    assert answer.json()["message"].startswith("App is locked by one or more deployments.")
    answer = await egret.http.put("/v2/apps/a?force=true", json={"cmd": "y"})
    assert answer.status_code == 200


async def test_changes_that_race_are_all_kept(egret):
    """A merge that was overtaken is derived again from what is there then."""
    await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    answers = await asyncio.gather(
        egret.http.put("/v2/apps/a?force=true", json={"cmd": "y"}),
        egret.http.put("/v2/apps/a?force=true", json={"user": "nobody"}),
        egret.http.put("/v2/apps/a?force=true", json={"labels": {"x": "y"}}),
    )
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert (app["cmd"], app["user"], app["labels"]) == ("y", "nobody", {"x": "y"})


async def test_a_conditional_change_needs_the_version_it_names(egret):
    created = await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    tag = (await egret.http.get("/v2/apps/a")).headers["etag"]
    stale = {"If-Match": '"2001-01-01T00:00:00.000Z"'}
    assert (await egret.http.put("/v2/apps/a", json={}, headers=stale)).status_code == 409
    assert (await egret.http.delete("/v2/apps/a", headers=stale)).status_code == 409
    fresh = {"If-Match": tag}
    answer = await egret.http.put("/v2/apps/a", json={"cmd": "y"}, headers=fresh)
    assert answer.status_code == 200
    await egret.deployments_done()
    query = {"ifVersion": created.json()["version"]}
    answer = await egret.http.put("/v2/apps/a", json={"cmd": "z"}, params=query)
    assert answer.status_code == 409


async def test_many_apps_are_changed_in_one_deployment(egret):
    await egret.deploy("/a", instances=0)
    await egret.deployments_done()
    body = [{"id": "/a", "cmd": "y"}, {"id": "b", "cmd": "x", "instances": 0}]
    answer = await egret.http.put("/v2/apps", json=body)
    assert answer.status_code == 200
    assert (await egret.http.get("/v2/apps/a")).json()["app"]["cmd"] == "y"
    assert (await egret.http.get("/v2/apps/b")).status_code == 200


async def test_of_many_apps_all_or_none_are_changed(egret):
    body = [{"id": "/a", "cmd": "x"}, {"id": "/b", "cmd": "x", "cpus": -1, "why": 1}]
    answer = await egret.http.put("/v2/apps", json=body)
    assert answer.status_code == 422
    assert set(details_of(answer)) == {"/(1)/cpus"}
    assert (await egret.http.get("/v2/apps")).json() == {"apps": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ([3], 400), ([{}], 422), ([{"id": "/a", "cmd": "x"}] * 2, 422)],
)
async def test_a_list_of_apps_must_be_one(egret, body, status):
    assert (await egret.http.put("/v2/apps", json=body)).status_code == status


async def test_patch_of_many_apps_creates_none(egret):
    answer = await egret.http.patch("/v2/apps", json=[{"id": "/a", "cmd": "x"}])
    assert answer.status_code == 404


# --------------------------------------------------------- removing and restarting


async def test_a_removed_app_is_gone_at_once(egret):
    await egret.deploy("/a")
    await egret.run_tasks()
    answer = await egret.http.delete("/v2/apps/a")
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "deploymentId"}
    assert (await egret.http.get("/v2/apps/a")).status_code == 404
    assert (await egret.http.get("/v2/apps")).json() == {"apps": []}


async def test_a_removal_may_be_told_not_to_force(egret):
    await egret.deploy("/a")
    assert (await egret.http.delete("/v2/apps/a?force=false")).status_code == 409


async def test_a_restart_makes_a_new_config_version(egret):
    created = (await egret.deploy("/a", instances=0)).json()["version"]
    await egret.deployments_done()
    answer = await egret.http.post("/v2/apps/a/restart")
    assert answer.status_code == 200
    app = (await egret.http.get("/v2/apps/a")).json()["app"]
    assert app["versionInfo"]["lastConfigChangeAt"] == answer.json()["version"] != created
    assert (await egret.http.post("/v2/apps/nope/restart")).status_code == 404


BRIDGED = {
    "networks": [{"mode": "container/bridge"}],
    "container": {"type": "MESOS", "portMappings": [{"containerPort": 80}]},
}


async def service_port_of(egret, app_id):
    shown = (await egret.http.get(f"/v2/apps{app_id}")).json()["app"]
    if "portDefinitions" in shown:
        return [port["port"] for port in shown["portDefinitions"]]
    return [port["servicePort"] for port in shown["container"]["portMappings"]]


async def test_open_service_ports_are_assigned_and_kept(egret):
    created = (await egret.deploy("/a")).json()
    assert created["portDefinitions"][0]["port"] == 10_000
    await egret.deploy("/b", **BRIDGED)
    assert await service_port_of(egret, "/b") == [10_001]
    changed = {"id": "/a", "cmd": "sleep 2", "portDefinitions": [{"port": 0}, {"port": 0}]}
    await egret.http.put("/v2/apps//a?force=true", json=changed)
    assert await service_port_of(egret, "/a") == [10_000, 10_002]


async def test_a_definition_with_open_ports_is_no_change_when_put_again(egret):
    await egret.deploy("/a", **BRIDGED, instances=0)
    await egret.deployments_done()
    version = egret.runtime.world.apps["/a"].version
    body = {"id": "/a", "cmd": "sleep 1", **BRIDGED, "instances": 0}
    await egret.http.put("/v2/apps//a?partialUpdate=false", json=body)
    assert egret.runtime.world.apps["/a"].version == version
    rehearsal = await egret.http.put("/v2/apps//a?partialUpdate=false&dryRun=true", json=body)
    changes = [{"app": "/a", "fields": []}]
    unchanged = {"steps": [], "changes": changes, "lockedBy": [], "capacity": []}
    assert rehearsal.json() == unchanged


@pytest.mark.parametrize("setup", [Setup(Settings(service_ports=(10_000, 10_001)))])
async def test_no_service_port_left_is_answered_422_and_nothing_is_changed(egret):
    body = {"id": "/g", "apps": [{"id": f"app-{n}", "cmd": "x"} for n in range(3)]}
    answer = await egret.http.put("/v2/groups", json=body)
    assert answer.status_code == 422
    assert answer.json()["details"] == [
        {
            "path": "/portDefinitions",
            "errors": ["All service ports from 10000 to 10001 are taken"],
        }
    ]
    assert not egret.runtime.world.apps


async def test_a_port_that_two_apps_name_is_their_business(egret):
    await egret.deploy("/a", ports=[8080])
    await egret.deploy("/b", ports=[8080])


async def test_the_list_is_made_anew_for_every_change(egret):
    """The whole list is kept while nothing changes: each kind of change must be seen."""

    async def listed():
        query = "/v2/apps?embed=apps.tasks&embed=apps.lastTaskFailure"
        return (await egret.http.get(query)).json()["apps"]

    assert await listed() == []
    await egret.deploy("/a", healthChecks=[{"protocol": "TCP"}])
    (app,) = await listed()
    assert (app["tasksRunning"], len(app["deployments"])) == (0, 1)
    (task_id,) = await egret.run_tasks()
    (app,) = await listed()
    assert (app["tasksRunning"], app["tasksHealthy"], app["tasks"][0]["id"]) == (1, 0, task_id)
    await egret.probe(task_id, alive=True)
    await egret.deployments_done()
    (app,) = await listed()
    assert (app["tasksHealthy"], app["deployments"]) == (1, [])
    assert await listed() == [app]
    await egret.update(task_id, TaskState.FAILED, message="oh")
    (app,) = await listed()
    assert (app["tasks"], app["lastTaskFailure"]["message"]) == ([], "oh")
    await egret.http.delete("/v2/apps/a")
    assert await listed() == []


async def test_an_instance_count_is_seen_at_once(egret):
    await egret.deploy("/a", instances=0)
    assert (await egret.http.get("/v2/apps")).json()["apps"][0]["instances"] == 0
    await egret.http.put("/v2/apps/a?force=true", json={"instances": 2})
    assert (await egret.http.get("/v2/apps")).json()["apps"][0]["instances"] == 2


@pytest.mark.parametrize(("features", "status"), [((), 422), (("gpu_resources",), 201)])
async def test_gpus_are_for_schedulers_that_ask_for_them(features, status):
    config = ApiConfig(rules=SpecRules(features=frozenset(features)))
    async with running_egret(Setup(config=config)) as egret:
        body = {"id": "/a", "cmd": "x", "gpus": 1, "instances": 0}
        answer = await egret.http.post("/v2/apps", json=body)
    assert answer.status_code == status
    if status == 422:
        assert details_of(answer) == {"/gpus": ["Feature gpu_resources is not enabled"]}


async def test_what_has_ended_and_is_left_so_is_counted_when_asked(egret):
    await egret.deploy("/job", instances=3, restartPolicy={"mode": "never"})
    first, second, _third = await egret.run_tasks()
    await egret.update(first, TaskState.FINISHED)
    await egret.update(second, TaskState.FAILED)
    (app,) = (await egret.http.get("/v2/apps?embed=apps.ended")).json()["apps"]
    assert app["tasksRunning"] == 1
    assert app["ended"] == {"finished": 1, "failed": 1}
    plain = (await egret.http.get("/v2/apps/job")).json()["app"]
    assert "ended" not in plain
