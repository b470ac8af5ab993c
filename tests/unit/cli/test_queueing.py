"""``--queue``: a change waits for the deployment in its way, and it is said that it does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}
PATH = "/v2/egret/deployments/d1"
BLOCK = {"app": "/hello", "reason": "deployment", "message": "waits for deployment d0"}
QUEUED = an_outcome("queued", changes=[], blockedBy=[BLOCK])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.json"
    path.write_text(json.dumps({"id": "/hello", "cmd": "x y", "instances": 1}))
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "group.json"
    path.write_text(json.dumps({"id": "/shop", "apps": [{"id": "/shop/web", "cmd": "x"}]}))
    return path


def ready(stub: Stub) -> None:
    """Answer every change."""
    stub.on("GET", PATH, 200, QUEUED)
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app()})
    stub.on("GET", "/v2/groups/shop", 200, {"id": "/shop", "apps": []})
    for method, path in (
        ("PUT", "/v2/apps/hello"),
        ("PATCH", "/v2/apps/hello"),
        ("DELETE", "/v2/apps/hello"),
        ("POST", "/v2/apps/hello/restart"),
        ("PUT", "/v2/groups"),
        ("PUT", "/v2/groups/shop"),
        ("DELETE", "/v2/groups/shop"),
    ):
        stub.on(method, path, 200, ACCEPTED)


CHANGES = [
    ("app", "deploy", "FILE"),
    ("app", "scale", "hello", "5"),
    ("app", "stop", "hello"),
    ("app", "restart", "hello"),
    ("app", "remove", "hello"),
    ("app", "rollback", "hello", "2026-01-01T00:00:00.000Z"),
    ("group", "deploy", "SHOP"),
    ("group", "scale", "shop", "2"),
    ("group", "remove", "shop", "--yes"),
]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_every_change_can_be_queued(
    egret: Egret, stub: Stub, file: Path, shop: Path, change: tuple[str, ...]
) -> None:
    ready(stub)
    files = {"FILE": str(file), "SHOP": str(shop)}
    result = egret(*(files.get(word, word) for word in change), "--queue")
    assert result.exit_code == 0, result.stderr
    assert ", when its turn comes (deployment d1)" in result.stdout
    assert "/hello waits: for deployment d0" in result.stdout
    (sent,) = [
        one.params.get("queue")
        for one in stub.asked
        if one.method != "GET" and "dryRun" not in one.params
    ]
    assert sent == "true"


def test_what_need_not_wait_is_said_as_without_it(egret: Egret, stub: Stub) -> None:
    stub.on("PATCH", "/v2/apps/hello", 200, ACCEPTED)
    stub.on("GET", PATH, 200, an_outcome("running", blockedBy=[BLOCK]))
    result = egret("app", "scale", "hello", "5", "--queue")
    assert result.stdout == "scaling /hello to 5 instances (deployment d1)\n"


def test_programs_are_told_whether_it_waits(egret: Egret, stub: Stub) -> None:
    ready(stub)
    result = egret("app", "scale", "hello", "5", "--queue", "--json")
    assert json.loads(result.stdout)["queued"] is True


def test_to_override_and_to_wait_exclude_each_other(egret: Egret, stub: Stub) -> None:
    result = egret("app", "scale", "hello", "5", "--queue", "--force")
    assert result.exit_code == 2
    assert "--force and --queue exclude each other" in result.stderr
    assert stub.asked == []


LOCKED: dict[str, Any] = {
    "message": "App is locked by one or more deployments. Override with the option '?force=true'.",
    "deployments": [{"id": "d0"}],
}


def test_who_is_refused_is_told_of_the_flag(egret: Egret, stub: Stub) -> None:
    stub.on("PATCH", "/v2/apps/hello", 409, LOCKED)
    result = egret("app", "scale", "hello", "5")
    assert result.exit_code == 4
    assert "It is locked by deployment d0." in result.stderr
    assert "`egret deployment watch d0`" in result.stderr
    assert "--queue" in result.stderr


def test_a_second_change_cannot_wait(egret: Egret, stub: Stub) -> None:
    stub.on("PATCH", "/v2/apps/hello", 409, LOCKED)
    result = egret("app", "scale", "hello", "5", "--queue")
    assert result.exit_code == 4
    assert "Deployment d0 waits for it already" in result.stderr


def test_killing_tasks_cannot_wait(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/tasks", 200, {"tasks": []})
    stub.on("POST", "/v2/tasks/delete", 409, LOCKED)
    result = egret("task", "kill", "--scale", "hello.instance-1._app.1")
    assert result.exit_code == 4
    assert "--queue" not in result.stderr


def test_what_waits_is_listed_as_queued(egret: Egret, stub: Stub) -> None:
    waits = {"queuedAt": "2026-01-01T00:00:00.000Z", "blockedBy": [BLOCK]}
    one = {"id": "d1", "currentStep": 0, "totalSteps": 0, "affectedApps": ["/hello"]}
    stub.on("GET", "/v2/deployments", 200, [{**one, "egret": waits}])
    line = egret("deployment", "list").stdout.splitlines()[1]
    assert line.split()[:3] == ["d1", "-", "queued"]
