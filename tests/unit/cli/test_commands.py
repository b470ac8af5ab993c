"""What the commands ask and print."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from scheduler.cli import main
from scheduler.cli.events import parse_events, say
from scheduler.cli.main import COMMANDS
from scheduler.cli.output import age_of
from scheduler.cli.waiting import why
from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}


def a_task(task_id: str = "hello.instance-1._app.1", **changes: Any) -> dict[str, Any]:
    task = {
        "id": task_id,
        "appId": "/hello",
        "host": "h1",
        "ports": [31000],
        "state": "TASK_RUNNING",
    }
    return {**task, **changes}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_a_list_in_a_pipe_is_plain_columns(egret: Egret, stub: Stub) -> None:
    check = [{"protocol": "HTTP"}]
    apps = [
        an_app("/b", instances=2, healthChecks=check, tasksRunning=2, tasksHealthy=1),
        an_app("/a"),
        an_app("/c", tasksUnhealthy=1),
        an_app("/d", instances=0, tasksRunning=0),
        an_app("/job", instances=2, tasksRunning=0, ended={"finished": 2, "failed": 0}),
        an_app("/job-2", instances=2, ended={"finished": 1, "failed": 0}),
        an_app("/job-3", instances=2, tasksRunning=0, ended={"finished": 1, "failed": 1}),
    ]
    stub.on("GET", "/v2/apps", 200, {"apps": apps})
    lines = [line.split() for line in egret("app", "list").stdout.splitlines()]
    assert lines[0] == ["APP", "INSTANCES", "RUNNING", "HEALTHY", "STATE", "RUNS"]
    assert [line[:5] for line in lines[1:]] == [
        ["/a", "1", "1", "-", "ready"],
        ["/b", "2", "2", "1", "waiting"],
        ["/c", "1", "1", "-", "unhealthy"],
        ["/d", "0", "0", "-", "stopped"],
        ["/job", "2", "0", "-", "done"],
        ["/job-2", "2", "1", "-", "ready"],
        ["/job-3", "2", "0", "-", "failed"],
    ]
    assert stub.asked[0].params == {"embed": "apps.ended"}


def test_an_empty_list_leaves_a_pipe_empty_and_says_what_to_do(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/apps", 200, {"apps": []})
    result = egret("app", "list")
    assert result.stdout == ""
    assert "egret app deploy" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["app", "list"], "/v2/apps", {"apps": [an_app()]}),
        (["app", "show", "hello"], "/v2/apps/hello", {"app": an_app()}),
        (["task", "list"], "/v2/tasks", {"tasks": [a_task()]}),
        (["deployment", "list"], "/v2/deployments", [{"id": "d1"}]),
        (["info"], "/v2/info", {"version": "1.11.24"}),
        (["queue"], "/v2/queue", {"queue": []}),
    ],
)
def test_json_is_what_the_scheduler_said(
    egret: Egret, stub: Stub, arguments: list[str], path: str, body: Any
) -> None:
    stub.on("GET", path, 200, body)
    result = egret(*arguments, "--json")
    shown = json.loads(result.stdout)
    assert shown in [body, *(body.values() if isinstance(body, dict) else [])]


def test_an_app_is_shown_with_what_went_wrong(egret: Egret, stub: Stub) -> None:
    failure = {
        "state": "TASK_FAILED",
        "message": "exited with 3",
        "timestamp": "2020-01-01T00:00:00Z",
    }
    app = an_app(tasks=[a_task()], lastTaskFailure=failure)
    stub.on("GET", "/v2/apps/hello", 200, {"app": app})
    shown = egret("app", "show", "hello").stdout
    assert "TASK_FAILED exited with 3" in shown
    assert "hello.instance-1._app.1" in shown
    assert "h1:31000" in shown


def test_a_job_that_has_done_its_work_is_no_failure(egret: Egret, stub: Stub) -> None:
    end = {"state": "TASK_FINISHED", "message": "", "timestamp": "2020-01-01T00:00:00Z"}
    ended = {"finished": 1, "failed": 0}
    app = an_app(tasksRunning=0, lastTaskFailure=end, ended=ended)
    stub.on("GET", "/v2/apps/hello", 200, {"app": app})
    shown = egret("app", "show", "hello").stdout
    assert "/hello  done" in shown
    assert "1 wanted, 0 running, 1 done" in shown
    assert "last end" in shown
    assert "failure" not in shown


def test_an_app_that_is_being_deployed_is_shown_with_what_the_deployment_waits_for(
    egret: Egret, stub: Stub
) -> None:
    app = an_app(deployments=[{"id": "d1"}])
    stub.on("GET", "/v2/apps/hello", 200, {"app": app})
    blocks = [
        {"app": "/db", "reason": "kill", "message": "tasks are being ended", "instances": 1},
        {"app": "/hello", "reason": "health", "message": "running, not healthy", "instances": 2},
    ]
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running", blockedBy=blocks))
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("failed", reason="no progress"))
    shown = egret("app", "show", "hello").stdout
    assert "deploying  d1, step 1 of 2\n" in shown
    assert "because    /db waits: 1 instance: tasks are being ended\n" in shown
    assert "because    2 instances: running, not healthy\n" in shown
    assert "deploying  d1 has failed: no progress\n" in egret("app", "show", "hello").stdout


def test_an_app_is_shown_with_what_was_taken_back_and_what_consul_lacks(
    egret: Egret, stub: Stub
) -> None:
    taken = {"version": "v2", "at": "2020-01-01T00:00:00Z", "reason": "no progress in time"}
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(rolledBack=[taken])})
    refusals = [
        {"app": app, "name": app[1:], "reason": "another app has the name"}
        for app in ("/hello", "/other")
    ]
    stub.on("GET", "/v2/egret/discovery", 200, {"refusals": refusals})
    shown = egret("app", "show", "hello").stdout
    assert "v2: no progress in time" in shown
    assert "hello is not registered: another app has the name" in shown
    assert "other" not in shown.replace("another", "")


def test_unknown_tasks_are_listed_with_their_fate(egret: Egret, stub: Stub) -> None:
    def task(name: str, *, ours: bool, killed: bool) -> dict[str, Any]:
        return {"id": name, "state": "TASK_RUNNING", "host": None, "slaveId": "S0"} | {
            "endedByUs": ours,
            "killed": killed,
        }

    tasks = [
        task("a", ours=True, killed=True),
        task("b", ours=True, killed=False),
        task("c", ours=False, killed=False),
    ]
    stub.on("GET", "/v2/egret/unknown-tasks", 200, {"tasks": tasks})
    lines = egret("task", "list", "--unknown").stdout.splitlines()[1:]
    assert [line.split(None, 3)[3].split(":")[0] for line in lines] == [
        "is being killed",
        "will be killed",
        "left alone",
    ]


def test_unknown_tasks_are_killed_by_name_alone(egret: Egret, stub: Stub) -> None:
    stub.on("POST", "/v2/egret/unknown-tasks/kill", 202, None)
    assert egret("task", "kill", "--unknown", "a", "b").stdout == "killing a\nkilling b\n"
    assert stub.bodies("POST") == [{"ids": ["a", "b"]}]


BRAKE = {
    "failing": 5,
    "onceHealthy": 6,
    "killed": 1,
    "unreachable": 1,
    "givenUp": 2,
    "agents": 3,
    "running": 6,
    "wanted": 7,
    "releasedUntil": None,
}


def test_the_brake_is_shown_and_let_go(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/egret/brake", 200, {**BRAKE, "engaged": True})
    shown = egret("brake", "show").stdout
    assert "holds" in shown
    assert "5 of 6" in shown
    assert "1 waited for and 2 given up lately, on 3 agents" in shown
    released = {**BRAKE, "engaged": False, "releasedUntil": "2026-01-01T00:00:00.000Z"}
    stub.on("POST", "/v2/egret/brake/release", 200, released)
    assert "until 2026-01-01" in egret("brake", "release", "--seconds", "60").stdout
    assert stub.asked[-1].params == {"seconds": "60"}


def test_scaling_cannot_create_an_app_by_a_slip(egret: Egret, stub: Stub) -> None:
    stub.on("PATCH", "/v2/apps/shop/web", 200, ACCEPTED)
    result = egret("app", "scale", "/shop/web", "5", "--force")
    assert result.stdout == "scaling /shop/web to 5 instances (deployment d1)\n"
    (asked,) = stub.asked
    assert (asked.method, asked.body, asked.params["force"]) == ("PATCH", {"instances": 5}, "true")


def test_a_rollback_goes_to_the_version_before(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(version="2026-01-02T00:00:00.000Z")})
    versions = [f"2026-01-0{day}T00:00:00.000Z" for day in (3, 2, 1)]
    stub.on("GET", "/v2/apps/hello/versions", 200, {"versions": versions})
    stub.on("PUT", "/v2/apps/hello", 200, ACCEPTED)
    assert egret("app", "rollback", "hello").exit_code == 0
    assert stub.bodies("PUT") == [{"version": "2026-01-01T00:00:00.000Z"}]


def test_removing_waits_until_the_app_is_gone(egret: Egret, stub: Stub) -> None:
    stub.on("DELETE", "/v2/apps/hello", 200, ACCEPTED)
    gone = [{"app": "/hello", "before": "u", "after": None}]
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("done", changes=gone))
    result = egret("app", "remove", "hello", "--wait")
    assert result.exit_code == 0
    assert result.stdout == "done\n"


def test_killing_with_scale_says_what_is_killed_and_how_many_are_left(
    egret: Egret, stub: Stub
) -> None:
    other = a_task("hello.instance-2._app.1")
    stub.on("GET", "/v2/tasks", 200, {"tasks": [a_task(), other]})
    stub.on("POST", "/v2/tasks/delete", 200, ACCEPTED)
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running"))
    stub.on("GET", "/v2/apps/hello/versions/v", 200, an_app(instances=1))
    result = egret("task", "kill", "--scale", "hello.instance-1", "hello.instance-9")
    assert result.stdout.splitlines() == [
        "/hello: 1 instance wanted now (deployment d1)",
        "killing hello.instance-1._app.1",
    ]
    assert result.exit_code == 6
    assert "No such task: hello.instance-9." in result.stderr


def test_killing_with_scale_what_is_not_there_scales_nothing(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/tasks", 200, {"tasks": []})
    stub.on("POST", "/v2/tasks/delete", 200, {"tasks": []})
    result = egret("task", "kill", "--scale", "hello.instance-9")
    assert (result.exit_code, result.stdout) == (6, "")


def test_killing_a_task_that_is_not_there_is_said(egret: Egret, stub: Stub) -> None:
    stub.on("POST", "/v2/tasks/delete", 200, {"tasks": [a_task()]})
    result = egret("task", "kill", "hello.instance-1._app.1", "nonsense")
    assert result.exit_code == 6
    assert "killing hello.instance-1._app.1" in result.stdout
    assert "No such task: nonsense." in result.stderr


def test_a_teardown_wants_a_yes(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/info", 200, {"frameworkId": "f-1"})
    stub.on("GET", "/v2/tasks", 200, {"tasks": [a_task()]})
    result = egret("framework", "teardown")
    assert result.exit_code == 2
    assert "ends framework f-1" in result.stderr
    assert "its 1 tasks" in result.stderr
    assert not stub.bodies("POST")


def test_a_teardown_confirms_with_the_framework_it_has_shown(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/info", 200, {"frameworkId": "f-1"})
    stub.on("GET", "/v2/tasks", 200, {"tasks": []})
    stub.on("POST", "/v2/egret/teardown", 200, {"message": "done"})
    assert egret("framework", "teardown", "--yes").exit_code == 0
    assert stub.asked[-1].params == {"confirm": "f-1"}


BLOCKED = {
    "id": "d1",
    "currentStep": 1,
    "totalSteps": 2,
    "currentActions": [{"action": "ScaleApplication", "app": "/hello"}],
    "affectedApps": ["/hello"],
    "egret": {
        "blockedBy": [
            {
                "app": "/hello",
                "reason": "readiness",
                "message": "healthy, not ready",
                "instances": 2,
            }
        ]
    },
}


def test_deployments_say_what_they_wait_for(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/deployments", 200, [BLOCKED])
    running = an_outcome("running", blockedBy=BLOCKED["egret"]["blockedBy"])
    stub.on("GET", "/v2/egret/deployments/d1", 200, running)
    assert "/hello waits: 2 instances: healthy, not ready" in egret("deployment", "list").stdout
    stub.on("GET", "/v2/apps", 200, {"apps": [an_app()]})
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app()})
    for watched in ([], ["d1"]):
        result = egret("deployment", "watch", *watched, "--timeout", "0")
        assert result.exit_code == 5
        assert "2 instances: healthy, not ready" in result.stderr
    assert {one.params.get("embed") for one in stub.asked if one.path == "/v2/deployments"} >= {
        "egret"
    }


def test_watching_ends_when_nothing_is_under_way(egret: Egret, stub: Stub) -> None:
    one = {"id": "d1", "currentStep": 1, "totalSteps": 2, "affectedApps": ["/hello", "/gone"]}
    stub.on("GET", "/v2/deployments", 200, [one])
    stub.on("GET", "/v2/deployments", 200, [])
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("done"))
    stub.on("GET", "/v2/apps", 200, {"apps": [an_app()]})
    result = egret("deployment", "watch")
    assert result.exit_code == 0
    assert "step 1 of 2" in result.stderr
    assert "/hello: 1 of 1 running;   /gone: being removed" in result.stderr


def test_doctor_finds_what_is_wrong(egret: Egret, stub: Stub) -> None:
    own = {"version": "0.1.0", "mesosMaster": stub.url, "mesosConnected": False}
    stub.on("GET", "/v2/info", 200, {"elected": True, "egret": own})
    stub.on("GET", "/health", 200, "")
    refusal = {"app": "/a", "name": "a b", "reason": "a service name has letters"}
    stub.on("GET", "/v2/egret/discovery", 200, {"refusals": [refusal] * 12})
    metrics = "# HELP x y\negret_store_degraded 1.0\negret_consul_synced 0.0\n"
    stub.on("GET", "/metrics", 200, metrics)
    result = egret("doctor", "--json")
    findings = json.loads(result.stdout)
    verdicts = {one["what"]: one["verdict"] for one in findings}
    refused = [one["says"] for one in findings if one["what"] == "Consul name"]
    assert refused[0] == "a b of /a is not registered: a service name has letters"
    assert refused[10:] == ["and 2 more: GET /v2/egret/discovery"]
    assert verdicts["scheduler"] == "ok"
    assert [verdicts[what] for what in ("Mesos", "store", "discovery")] == ["wrong"] * 3
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({}, "no offers from Mesos yet"),
        ({"processedOffersSummary": {"processedOffersCount": 3}}, "waiting for the next offers"),
        (
            {"delay": {"timeLeftSeconds": 7, "overdue": False}},
            "a task failed, the next try is in 7 s",
        ),
    ],
)
def test_waiting_is_explained(item: dict[str, Any], says: str) -> None:
    assert says in why(item)


def test_events_are_read_as_marathon_frames_them() -> None:
    lines = [
        "event: a",
        'data: {"x": 1}',
        "",
        "",
        ": ping",
        "event: b",
        'data: {"y":',
        "data: 2}",
        "",
    ]
    assert list(parse_events(lines)) == [("a", {"x": 1}), ("b", {"y": 2})]
    assert say("a", {"timestamp": "t", "appId": "/x", "plan": {}}) == "t  a  appId=/x"


def test_what_a_deployment_waits_for_is_told_on_one_line() -> None:
    def blocked(*apps: str) -> dict[str, Any]:
        return {"id": "d", "blockedBy": [{"app": a, "message": "none fits"} for a in apps]}

    kind = "egret_deployment_blocked"
    assert say(kind, blocked("/a")) == f"-  {kind}  id=d  /a waits: none fits"
    assert say(kind, blocked(*"abcde")).endswith("c waits: none fits  … and 2 more")


def test_events_of_a_type_are_asked_for_by_its_name(egret: Egret, stub: Stub) -> None:
    """Some come only to those who name them."""
    stub.on("GET", "/v2/events", 200, "event: a\ndata: {}\n\n")
    assert egret("events", "--type", "a").stdout == "-  a\n"
    assert stub.asked[-1].params == {"event_type": "a"}
    egret("events")
    assert stub.asked[-1].params == {}


def test_completion_offers_the_apps_and_groups_there_are(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.on("GET", "/v2/apps", 200, {"apps": [an_app("/shop/web"), an_app("/hello")]})
    root = {"id": "/", "groups": [{"id": "/shop", "groups": [{"id": "/shop/back"}]}]}
    stub.on("GET", "/v2/groups", 200, root)
    monkeypatch.setenv("EGRET_SERVER", stub.url)
    completer = ShellComplete(main, {}, "egret", "_EGRET_COMPLETE")

    def offered(*typed: str) -> list[str]:
        return [one.value for one in completer.get_completions(list(typed[:-1]), typed[-1])]

    assert offered("app", "show", "") == ["hello", "shop/web"]
    assert offered("app", "show", "/sh") == ["/shop/web"]
    assert offered("group", "show", "shop") == ["shop", "shop/back"]
    monkeypatch.setenv("EGRET_SERVER", "http://127.0.0.1:1")
    assert offered("app", "show", "") == []


def test_completion_knows_its_shells(egret: Egret) -> None:
    assert "_EGRET_COMPLETE" in egret("completion", "zsh").stdout


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("2026-01-01T00:00:00.000Z", "2d"),
        ("2026-01-02T23:58:30.000Z", "90s"),
        ("2026-01-02T23:00:00.000Z", "60m"),
        (None, "-"),
        ("nonsense", "nonsense"),
    ],
)
def test_ages_are_short(text: str | None, age: str) -> None:
    from datetime import UTC, datetime

    assert age_of(text, datetime(2026, 1, 3, tzinfo=UTC)) == age
