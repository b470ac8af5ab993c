"""Every path and method of the API, and every status it may answer, over real connections.

The rows stand in the order of Marathon's reference; all of them meet the same scheduler, in which
`/t/app` runs two tasks and `/stuck/app` can never be placed. What a row needs and changes it names
itself, under a path of its own.
"""

import re
from collections.abc import Iterator

import httpx2
import pytest
from attrs import field, frozen

from scheduler.api.routes import TABLE
from scheduler.core import Settings
from tests.live_egret import live_egret
from tests.support import eventually

SECRETS = {
    "env": {"PW": {"secret": "pw"}},
    "secrets": {"pw": {"source": "vault/pw"}},
    "container": {
        "type": "MESOS",
        "docker": {"image": "x", "pullConfig": {"secret": "pw"}},
        "volumes": [{"containerPath": "/pw", "secret": "pw"}],
    },
}
NEVER = [["hostname", "LIKE", "no-such-host"]]
LOCKED = "App is locked by one or more deployments"


@frozen
class Row:
    method: str
    path: str
    status: int
    body: object = None
    says: str = ""
    headers: dict[str, str] = field(factory=dict)

    def __str__(self):
        return f"{self.method} {self.path} {self.status}"


def app(app_id, **more):
    return {"id": app_id, "cmd": "sleep 1", "instances": 0, **more}


def row(method, path, status, body=None, says="", **headers):
    return Row(method, path, status, body, says, headers)


READS = [
    row("GET", "/", 200),
    row("GET", "/page.js", 200),
    row("GET", "/page.css", 200),
    row("GET", "/openapi.json", 200),
    row("GET", "/ping", 200, says="pong"),
    row("GET", "/ping", 204, accept="application/json"),
    row("GET", "/metrics", 200),
    row("GET", "/metrics", 200, says="gauges", accept="application/json"),
    row("GET", "/metrics/prometheus", 200),
    row("GET", "/downloads/nothing", 404, says="There is no such file"),
    row("GET", "/v2/info", 200, says="marathon_config"),
    row("GET", "/v2/leader", 200, says="127.0.0.1:"),
    row("GET", "/v2/nothing", 404),
    row("GET", "/v2/eventSubscriptions", 404),
    row("GET", "/v2/apps", 200, says="/t/app"),
    row("GET", "/v2/apps/", 200, says="/t/app"),
    row("GET", "/v2/apps?label=a%20in%20b", 400, says="label selector"),
    row("GET", "/v2/apps?embed=apps.tasks&embed=apps.taskStats", 200, says="totalSummary"),
    row("GET", "/v2/apps/t/app", 200),
    row("GET", "/v2/apps//t/app/", 200),
    row("GET", "/v2/apps/t/*", 200, says='"*"'),
    row("GET", "/v2/apps/none", 404, says="App '/none' does not exist"),
    row("GET", "/v2/apps/none/*", 404),
    row("GET", "/v2/apps/%C3%9C%20x", 404),
    row("GET", "/v2/apps/t/app/tasks", 200, says="TASK_RUNNING"),
    row("GET", "/v2/apps/none/tasks", 404, says="App '/none' does not exist"),
    row("GET", "/v2/apps/t/app/versions", 200),
    row("GET", "/v2/apps/none/versions", 404),
    row("GET", "/v2/apps/t/app/versions/2001-01-01T00:00:00.000Z", 404),
    row("GET", "/v2/apps/t/app/versions/yesterday", 422, says="Invalid timestamp"),
    row("GET", "/v2/tasks?status=running", 200, says="/t/app"),
    row("GET", "/v2/tasks?status%5B%5D=staging", 200),
    row("GET", "/v2/groups", 200),
    row("GET", "/v2/groups?embed=group.apps.tasks", 200),
    row("GET", "/v2/groups/t", 200),
    row("GET", "/v2/groups/none", 404, says="Group '/none' does not exist"),
    row("GET", "/v2/groups/apps", 200),
    row("GET", "/v2/groups/t/apps", 200),
    row("GET", "/v2/groups/none/apps", 404),
    row("GET", "/v2/groups/versions", 200),
    row("GET", "/v2/groups/t/versions", 200),
    row("GET", "/v2/groups/none/versions", 404),
    row("GET", "/v2/groups/versions/2001-01-01T00:00:00.000Z", 404),
    row("GET", "/v2/groups/t/versions/2001-01-01T00:00:00.000Z", 404),
    row("GET", "/v2/groups/t/versions/never", 422),
    row("GET", "/v2/deployments", 200, says="/stuck/app"),
    row("GET", "/v2/egret/deployments/nope", 404, says="is not known"),
    row("GET", "/v2/deployments?embed=egret", 200, says="blockedBy"),
    row("GET", "/v2/queue", 200, says="/stuck/app"),
    row("GET", "/v2/queue?embed=lastUnusedOffers", 200, says="lastUnusedOffers"),
    row("GET", "/v2/events", 405, accept="application/json"),
    row("HEAD", "/v2/pods", 404),
    row("GET", "/v2/pods", 404, says="Pods are not supported"),
    row("GET", "/v2/pods/a::status", 404),
    row("GET", "/v2/egret/discovery", 200),
    row("GET", "/v2/egret/unknown-tasks", 200),
    row("GET", "/v2/egret/brake", 200, says="engaged"),
]

APPS = [
    row("POST", "/v2/apps", 201, app("/apps/one")),
    row("POST", "/v2/apps", 409, app("/t/app"), "An app with id [/t/app] already exists."),
    row("POST", "/v2/apps", 400, b"{", "Invalid JSON"),
    row("POST", "/v2/apps", 400, {"id": "/apps/x", "cmd": 3}, "Invalid JSON"),
    row("POST", "/v2/apps", 422, {"id": "/apps/x"}, "Object is not valid"),
    row("POST", "/v2/apps", 422, app("/apps/restart")),
    row("POST", "/v2/apps", 201, app("/apps/secret", **SECRETS), "vault/pw"),
    row("GET", "/v2/apps/apps/secret", 200, says="vault/pw"),
    row("PUT", "/v2/apps/apps/secret", 422, {"secrets": {}}, "references an undefined secret"),
    row("POST", "/v2/apps", 422, app("/apps/x", **{**SECRETS, "container": {"docker": {}}})),
    row("POST", "/v2/apps", 422, app("/apps/x", dependencies=["/apps/x"])),
    row("POST", "/v2/apps", 415, b"id=a", **{"content-type": "application/x-www-form-urlencoded"}),
    row("POST", "/v2/apps", 413, b" " * (2 * 1024 * 1024 + 1)),
    row("POST", "/v2/apps", 403, app("/apps/x"), origin="http://elsewhere.example"),
    row("POST", "/v2/apps?dryRun=true", 200, app("/apps/x"), "StartApplication"),
    row("PUT", "/v2/apps", 200, [app("/apps/one", cmd="a"), app("/apps/two")]),
    row("PUT", "/v2/apps", 400, {}, "expected an array"),
    row("PUT", "/v2/apps", 422, [app("/apps/one", cpus=0)]),
    row("PUT", "/v2/apps", 409, [app("/stuck/app", cmd="b")], LOCKED),
    row("PATCH", "/v2/apps", 200, [{"id": "/apps/two", "labels": {"a": "b"}}]),
    row("PATCH", "/v2/apps", 404, [app("/apps/three")], "App '/apps/three' does not exist"),
    row("PUT", "/v2/apps/apps/three", 201, {"cmd": "x", "instances": 0}),
    row("PUT", "/v2/apps/apps/three", 200, {"cmd": "y"}),
    row("PUT", "/v2/apps/apps/three", 422, {"id": "/apps/other"}),
    row("PUT", "/v2/apps/apps/three", 400, []),
    row("PUT", "/v2/apps/apps/three", 404, {"version": "2001-01-01T00:00:00.000Z"}),
    row("PUT", "/v2/apps/apps/three", 422, {"version": "2001-01-01T00:00:00.000Z", "cmd": "x"}),
    row("PUT", "/v2/apps/apps/three", 409, {"cmd": "z"}, **{"if-match": '"2001"'}),
    row("PUT", "/v2/apps/stuck/app", 409, {"cmd": "z"}, LOCKED),
    row("PATCH", "/v2/apps/apps/three", 200, {"mem": 64}),
    row("PATCH", "/v2/apps/none", 404, {"mem": 64}),
    row("PATCH", "/v2/apps/apps/three?ifVersion=2001", 409, {"mem": 32}),
    row("POST", "/v2/apps/apps/three/restart", 200),
    row("POST", "/v2/apps/stuck/app/restart", 409, says=LOCKED),
    row("POST", "/v2/apps/none/restart", 404),
    row("DELETE", "/v2/apps/stuck/app?force=false", 409, says=LOCKED),
    row("DELETE", "/v2/apps/apps/three", 200),
    row("DELETE", "/v2/apps/apps/three", 404),
    row("DELETE", "/v2/apps", 405),
]

TASKS = [
    row("DELETE", "/v2/apps/t/app/tasks?host=elsewhere", 200, says='"tasks":[]'),
    row("DELETE", "/v2/apps/t/app/tasks?scale=true&wipe=true", 400, says="scale and wipe"),
    row("DELETE", "/v2/apps/none/tasks", 404),
    row("DELETE", "/v2/apps/t/app/tasks/none", 404, says="Task 'none' does not exist"),
    row("DELETE", "/v2/apps/t/app/tasks/TASK", 200, says='"task"'),
    row("POST", "/v2/tasks/delete", 200, {"ids": []}),
    row("POST", "/v2/tasks/delete", 400, {"ids": ["no task"]}, "Invalid task id"),
    row("POST", "/v2/tasks/delete", 400, {"ids": "x"}),
    row("POST", "/v2/tasks/delete?scale=true", 200, {"ids": ["TASK"]}, "deploymentId"),
    row("DELETE", "/v2/apps/t/app/tasks?scale=true", 200, says="deploymentId"),
]

GROUPS = [
    row("POST", "/v2/groups", 201, {"id": "/gr", "apps": [app("a")]}),
    row("POST", "/v2/groups", 409, {"id": "/gr"}, "already created"),
    row("POST", "/v2/groups", 409, {"id": "/t/app"}, "already exists"),
    row("POST", "/v2/groups/gr", 201, {"id": "inner"}),
    row("POST", "/v2/groups", 400, b"[", "Invalid JSON"),
    row("PUT", "/v2/groups?dryRun=true", 200, {"id": "/gr", "apps": []}, "StopApplication"),
    row("PUT", "/v2/groups/gr", 200, {"apps": [app("a", cmd="b")]}),
    row("PUT", "/v2/groups/gr", 200, {"scaleBy": 2}),
    row("PUT", "/v2/groups/gr", 422, {"scaleBy": 2, "apps": []}),
    row("PUT", "/v2/groups/gr", 404, {"version": "2001-01-01T00:00:00.000Z"}),
    row("PUT", "/v2/groups/gr", 422, {"apps": [app("/elsewhere/a")]}, "is not child of /gr"),
    row("PUT", "/v2/groups/gr", 422, {"enforceRole": True}, "roles of groups are not supported"),
    row("PUT", "/v2/groups/gr", 409, {"apps": []}, **{"if-match": '"2001"'}),
    row("PUT", "/v2/groups/none", 404, {"scaleBy": 2}),
    row("PUT", "/v2/groups/stuck", 409, {"apps": []}, LOCKED),
    row("PATCH", "/v2/groups/gr", 200, {"enforceRole": False}),
    row("PATCH", "/v2/groups/gr/inner", 422, {"enforceRole": False}),
    row("PATCH", "/v2/groups/none", 404, {"enforceRole": False}),
    row("DELETE", "/v2/groups/stuck", 409, says=LOCKED),
    row("DELETE", "/v2/groups/gr?dryRun=true", 200),
    row("DELETE", "/v2/groups/gr?force=true", 200),
    row("DELETE", "/v2/groups/gr", 404),
    row("DELETE", "/v2/groups?dryRun=true", 200),
]

REST = [
    row("DELETE", "/v2/deployments/none", 404, says="DeploymentPlan none does not exist"),
    row("POST", "/v2/deployments/none/abort", 404),
    row("POST", "/v2/deployments/STUCK/pause", 200),
    row("POST", "/v2/deployments/STUCK/resume", 200),
    row("POST", "/v2/deployments/STUCK/promote", 409, says="No canaries"),
    row("DELETE", "/v2/queue/none/delay", 404, says="Application /none not found in tasks queue."),
    row("DELETE", "/v2/queue/stuck/app/delay", 204),
    row("DELETE", "/v2/deployments/STUCK?force=true", 202),
    row("PATCH", "/v2/apps/stuck/app", 200, {"cmd": "sleep 2"}),
    row("DELETE", "/v2/deployments/STUCK", 200, says="deploymentId"),
    row("POST", "/v2/pods", 422, {"id": "/pod"}, "Pods are not supported"),
    row("PUT", "/v2/pods/pod", 422, {"id": "/pod"}),
    row("DELETE", "/v2/pods/pod", 404),
    row("DELETE", "/v2/leader", 409),
    row("POST", "/v2/egret/unknown-tasks/kill", 202, {"ids": []}),
    row("POST", "/v2/egret/brake/release?seconds=60", 200),
    row("POST", "/v2/egret/brake/release?seconds=soon", 400),
    row("POST", "/v2/egret/teardown?confirm=no", 409),
    row("PUT", "/v2/deployments", 405),
    row("PUT", "/v2/groups", 413, b" " * (128 * 1024 * 1024 + 1)),
]

ROWS = [*READS, *APPS, *TASKS, *GROUPS, *REST]
STREAMED = {("GET", "/v2/events")}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with live_egret() as egret, httpx2.Client(base_url=egret.url, timeout=60) as client:
        client.post("/v2/apps", json=app("/t/app", instances=2)).raise_for_status()
        stuck = app("/stuck/app", instances=1, constraints=NEVER)
        client.post("/v2/apps", json=stuck).raise_for_status()
        yield client


def ids_in(http, path):
    """Put the id of a task or deployment there is in place of its word."""
    if "STUCK" in path:
        found = [
            d["id"]
            for d in http.get("/v2/deployments").json()
            if d["affectedApps"] == ["/stuck/app"]
        ]
        return path.replace("STUCK", found[0])
    return path


def task_of(http):
    return http.get("/v2/apps/t/app/tasks").json()["tasks"][0]["id"]


@pytest.mark.xdist_group("every_status")
async def test_every_answer_has_its_status_and_its_words(http):
    """One test: the rows build on each other, and each failure is named."""

    def tasks_run():
        return http.get("/v2/apps/t/app").json()["app"]["tasksRunning"] == 2

    await eventually(tasks_run, what="two tasks")
    await eventually(lambda: "/stuck/app" in http.get("/v2/queue").text, what="a queue")
    wrong = []
    for one in ROWS:
        path, body = ids_in(http, one.path), one.body
        if "TASK" in path:
            path = path.replace("TASK", task_of(http))
        if body == {"ids": ["TASK"]}:
            await eventually(tasks_run, what="two tasks again")
            body = {"ids": [task_of(http)]}
        sent = (
            {"content": body}
            if isinstance(body, bytes)
            else {"json": body}
            if body is not None
            else {}
        )
        answer = http.request(one.method, path, headers=one.headers, **sent)
        if answer.status_code != one.status or one.says not in answer.text:
            wrong.append(f"{one}: {answer.status_code} {answer.text[:300]}")
        if answer.status_code >= 400 and one.method != "HEAD":
            assert answer.json()["message"], one
    assert wrong == []


async def test_too_many_deployments_are_answered_403():
    with live_egret(settings=Settings(deployments_max=1)) as egret:
        stuck = app("/a", instances=1, constraints=NEVER)
        httpx2.post(f"{egret.url}/v2/apps", json=stuck).raise_for_status()
        answer = httpx2.post(f"{egret.url}/v2/apps", json=app("/b"))
        assert answer.status_code == 403
        assert answer.json()["message"].startswith("Max number of running deployments reached")


def pattern_of(template):
    return re.compile(re.sub(r"{\w+:path}", ".+", re.sub(r"{\w+}", "[^/]+", template)))


def test_every_path_and_method_is_in_the_table():
    met = {(one.method, one.path.partition("?")[0].rstrip("/") or "/") for one in ROWS}
    unmet = [
        (method, template)
        for template, handlers in TABLE
        for method in handlers
        if not any(m == method and pattern_of(template).fullmatch(path) for m, path in met)
    ]
    assert set(unmet) <= STREAMED
