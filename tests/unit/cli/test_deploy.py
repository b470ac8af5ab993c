"""Deploying definition files, and comparing them with what runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}


def write(folder: Path, value: Any, name: str = "app.json") -> str:
    path = folder / name
    path.write_text(json.dumps(value))
    return str(path)


def test_one_app_is_put_whole_and_strictly(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    stub.on("PUT", "/v2/apps/hello", 201, ACCEPTED)
    app = {"id": "hello", "cmd": "x y", "instances": 2}
    result = egret("app", "deploy", write(tmp_path, app))
    assert result.exit_code == 0
    assert result.stdout == "deploying /hello (deployment d1)\n"
    (put,) = [one for one in stub.asked if one.method == "PUT"]
    assert put.params == {"partialUpdate": "false", "strict": "true", "force": "false"}
    assert put.body == {**app, "id": "/hello"}


def test_a_group_is_put_at_once(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    """Half a group that runs would be worse than none."""
    stub.on("PUT", "/v2/apps", 200, ACCEPTED)
    apps = [{"id": "a", "cmd": "x y"}, {"id": "b", "cmd": "x y", "dependencies": ["a"]}]
    result = egret("app", "deploy", write(tmp_path, {"id": "/shop", "apps": apps}))
    assert result.exit_code == 0
    (body,) = stub.bodies("PUT")
    assert [app["id"] for app in body] == ["/shop/a", "/shop/b"]


def test_problems_of_many_apps_are_named_by_app(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    details = [{"path": "/(1)/cpus", "errors": ["must not be negative"]}]
    stub.on("PUT", "/v2/apps", 422, {"message": "Object is not valid", "details": details})
    apps = [{"id": "/a", "cmd": "x y"}, {"id": "/b", "cmd": "x y", "cpus": -1}]
    result = egret("app", "deploy", write(tmp_path, apps))
    assert result.exit_code == 4
    assert "  /b at /cpus: must not be negative\n" in result.stderr


@pytest.mark.parametrize("wrap", [lambda app: app, lambda app: {"app": app}, lambda app: [app]])
def test_what_get_returned_can_be_deployed(
    egret: Egret, stub: Stub, tmp_path: Path, wrap: Callable[[Any], Any]
) -> None:
    stub.on("PUT", "/v2/apps/hello", 200, ACCEPTED)
    result = egret("app", "deploy", write(tmp_path, wrap(an_app())))
    assert result.exit_code == 0
    assert "read-only, not sent: deployments, tasks, tasksHealthy" in result.stderr
    (body,) = stub.bodies("PUT")
    assert set(body) == {"id", "cmd", "instances", "cpus", "mem"}


def test_a_file_without_a_count_leaves_the_count_as_it_is(
    egret: Egret, stub: Stub, tmp_path: Path
) -> None:
    """Marathon would go back to one instance, and has done so at night, in production."""
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(instances=7)})
    stub.on("PUT", "/v2/apps/hello", 200, ACCEPTED)
    result = egret("app", "deploy", write(tmp_path, {"id": "/hello", "cmd": "x y"}))
    assert "/hello: keeping 7 instances" in result.stderr
    assert stub.bodies("PUT")[0]["instances"] == 7


def test_standard_input_is_a_file_too(egret: Egret, stub: Stub) -> None:
    stub.on("PUT", "/v2/apps/hello", 200, ACCEPTED)
    text = json.dumps({"id": "/hello", "cmd": "x y", "instances": 1})
    assert egret("app", "deploy", "-", input=text).exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no app definition"),
        ('{"cmd": "x"}', "/id: must be given"),
        ('{"id": "/a", "id": "/b"}', "/id: is given twice"),
        ("[]", "There is no app"),
    ],
)
def test_a_file_that_is_no_definition_is_exit_code_2(
    egret: Egret, stub: Stub, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "app.json"
    path.write_text(text)
    result = egret("app", "deploy", str(path))
    assert result.exit_code == 2
    assert says in result.stderr
    assert not stub.asked


def test_one_app_in_two_files_is_a_mistake(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    app = {"id": "/hello", "cmd": "x y"}
    result = egret("app", "deploy", write(tmp_path, app), write(tmp_path, app, "other.json"))
    assert result.exit_code == 2
    assert "is defined in" in result.stderr
    assert not stub.asked


def test_waiting_ends_with_the_deployment(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    stub.on("PUT", "/v2/apps/hello", 201, ACCEPTED)
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running"))
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("done"))
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(version="v")})
    app = {"id": "/hello", "cmd": "x y", "instances": 1}
    result = egret("app", "deploy", "--wait", "--json", write(tmp_path, app))
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"deploymentId": "d1", "version": "v", "apps": ["/hello"]}


def test_a_diff_shows_what_the_scheduler_would_change(
    egret: Egret, stub: Stub, tmp_path: Path
) -> None:
    cpus = {"field": "cpus", "before": 0.1, "after": 0.5}
    env = {"field": "env", "before": None, "after": {"A": "b"}}
    changes = [{"app": "/hello", "fields": [cpus, env]}, {"app": "/same", "fields": []}]
    stub.on("PUT", "/v2/apps/hello", 200, {"steps": [], "changes": changes})
    app = {"id": "/hello", "cmd": "x y", "cpus": 0.5, "instances": 1}
    result = egret("app", "diff", write(tmp_path, app))
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if line[0] in "+-"] == [
        "--- deployed /hello",
        "+++ file /hello",
        '-  "cpus": 0.1',
        '+  "cpus": 0.5,',
        '+  "env": {',
        '+    "A": "b"',
        "+  }",
    ]
    (put,) = [one for one in stub.asked if one.method == "PUT"]
    assert put.params["dryRun"] == "true"


def test_no_difference_is_exit_code_0(egret: Egret, stub: Stub, tmp_path: Path) -> None:
    answer = {"steps": [], "changes": [{"app": "/hello", "fields": []}]}
    stub.on("PUT", "/v2/apps/hello", 200, answer)
    result = egret("app", "diff", write(tmp_path, {"id": "/hello", "cmd": "x y"}))
    assert (result.exit_code, result.stdout) == (0, "")


def a_point(number: int, old: int, new: int, alive: int, *, waits: bool = False) -> dict[str, Any]:
    return {
        "round": number,
        "oldServing": old,
        "newServing": new,
        "alive": alive,
        "awaitsPromotion": waits,
    }


def a_capacity(app_id: str, step: int, *points: dict[str, Any], **more: Any) -> dict[str, Any]:
    rounds = points[-1]["round"] - 1
    return {"app": app_id, "step": step, "rounds": rounds, "points": list(points), **more}


REHEARSAL = {
    "steps": [
        {"actions": [{"action": "StopApplication", "app": "/gone"}]},
        {"actions": [{"action": "StartApplication", "app": "/fresh"}]},
        {
            "actions": [
                {"action": "RestartApplication", "app": "/web"},
                {"action": "ScaleApplication", "app": "/fresh"},
            ]
        },
    ],
    "changes": [
        {"app": "/web", "fields": [{"field": "cmd"}, {"field": "env"}]},
        {"app": "/same", "fields": []},
        *(
            {"app": one, "fields": [{"field": "cmd"}, {"field": "id"}]}
            for one in ("/fresh", "/gone")
        ),
    ],
    "lockedBy": [{"id": "d0", "apps": ["/web", "/gone"]}],
    "capacity": [
        a_capacity("/gone", 1, a_point(0, 2, 0, 2), a_point(1, 0, 0, 2), a_point(2, 0, 0, 0)),
        a_capacity(
            "/web",
            3,
            a_point(0, 10, 0, 10),
            a_point(2, 10, 1, 11, waits=True),
            {**a_point(3, 8, 0, 12), "created": 1, "ended": 2},
            a_point(6, 0, 10, 10),
            mayStopFirst=True,
            pointsLeftOut=2,
        ),
        a_capacity("/fresh", 3, a_point(0, 0, 0, 0), a_point(1, 0, 0, 3), a_point(2, 0, 3, 3)),
    ],
}


HELD = (
    "/web, /gone: held by deployment d0;"
    " this would have to wait for it (--queue) or override it (--force)"
)


def test_a_dry_run_says_how_many_serve_and_are_alive_on_the_way(
    egret: Egret, stub: Stub, tmp_path: Path
) -> None:
    stub.on("PUT", "/v2/apps/web", 200, REHEARSAL)
    app = {"id": "/web", "cmd": "x y", "instances": 10}
    result = egret("app", "deploy", "--dry-run", write(tmp_path, app))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "step 1: /gone: 2 → 0 (removed) in 1 round; at least 0 serve, at most 2 alive",
        "  now       2 serve, 2 alive",
        "  round 1   0 serve, 2 alive",
        "  then      0 serve, 0 alive",
        "step 3: /web: 10 → 10 of the new version in 5 rounds; at least 8 serve, at most 12 alive",
        "  may stop one old instance first, if fixed ports are taken everywhere",
        "  changes cmd, env",
        "  now       10 old + 0 new serve, 10 alive",
        "  round 2   10 old + 1 new serve, 11 alive; waits for `egret deployment promote`",
        "  round 3   8 old + 0 new serve, 12 alive; 1 created, 2 ended",
        "  then      0 old + 10 new serve, 10 alive",
        "  2 rounds like these are left out",
        "step 3: /fresh: 0 → 3 (new) in 1 round; at least 0 serve, at most 3 alive",
        "  now       0 serve, 0 alive",
        "  round 1   0 serve, 3 alive",
        "  then      3 serve, 3 alive",
        "/same: nothing changes",
        HELD,
    ]
    (put,) = [one for one in stub.asked if one.method == "PUT"]
    assert put.params["dryRun"] == "true"


def test_a_dry_run_as_json_is_what_the_scheduler_said(
    egret: Egret, stub: Stub, tmp_path: Path
) -> None:
    stub.on("PUT", "/v2/apps/web", 200, REHEARSAL)
    app = {"id": "/web", "cmd": "x y", "instances": 10}
    result = egret("app", "deploy", "--dry-run", "--json", "--wait", write(tmp_path, app))
    assert json.loads(result.stdout) == REHEARSAL
    assert [one.method for one in stub.asked] == ["PUT"]


@pytest.mark.parametrize(
    ("method", "path", "change"),
    [
        ("PATCH", "/v2/apps/web", ["app", "scale", "web", "3"]),
        ("PATCH", "/v2/apps/web", ["app", "stop", "web"]),
        ("POST", "/v2/apps/web/restart", ["app", "restart", "web"]),
        ("DELETE", "/v2/apps/web", ["app", "remove", "web"]),
        ("PUT", "/v2/apps/web", ["app", "rollback", "web", "2026-01-01T00:00:00.000Z"]),
        ("PUT", "/v2/groups/shop", ["group", "scale", "shop", "2"]),
        ("DELETE", "/v2/groups/shop", ["group", "remove", "shop"]),
    ],
)
def test_every_change_can_be_rehearsed(
    egret: Egret, stub: Stub, method: str, path: str, change: list[str]
) -> None:
    stub.on("GET", "/v2/groups/shop", 200, {"id": "/shop", "apps": []})
    stub.on(method, path, 200, REHEARSAL)
    result = egret(*change, "--dry-run", "--wait")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "/web: 10 → 10 of the new version" in result.stdout
    (sent,) = [one.params["dryRun"] for one in stub.asked if one.method == method]
    assert sent == "true"
