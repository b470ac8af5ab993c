"""Groups: what is listed, what a file may remove, and what has to be confirmed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}
SHOP = {
    "id": "/shop",
    "version": "2026-01-01T00:00:00.000Z",
    "dependencies": ["/db"],
    "apps": [an_app("/shop/web", instances=3, tasksRunning=2)],
    "groups": [
        {"id": "/shop/back", "apps": [an_app("/shop/back/api")], "groups": [], "dependencies": []}
    ],
}
ROOT = {"id": "/", "apps": [], "groups": [SHOP], "dependencies": []}


def rehearsal(*stopped: str) -> dict[str, Any]:
    actions = [{"action": "StopApplication", "app": app} for app in stopped]
    actions.append({"action": "ScaleApplication", "app": "/shop/web"})
    return {"steps": [{"actions": actions}], "changes": []}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(SHOP))
    return path


def test_a_group_counts_what_is_in_the_groups_below_it(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/groups", 200, ROOT)
    lines = [line.split()[:5] for line in egret("group", "list").stdout.splitlines()]
    assert lines[1:] == [["/shop", "2", "4", "3", "/db"], ["/shop/back", "1", "1", "1", "-"]]


def test_a_group_is_shown_with_all_its_apps(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/groups/shop", 200, SHOP)
    shown = egret("group", "show", "shop").stdout
    assert "depends on  /db" in shown
    assert shown.index("/shop/back/api") < shown.index("/shop/web")


def test_a_file_is_sent_without_what_get_added_and_keeps_counts(
    egret: Egret, stub: Stub, file: Path
) -> None:
    stub.on("PUT", "/v2/groups", 200, rehearsal())
    stub.on("PUT", "/v2/groups", 200, ACCEPTED)
    result = egret("group", "deploy", str(file))
    assert result.stdout == "deploying group /shop (deployment d1)\n"
    (tried, done) = [one for one in stub.asked if one.method == "PUT"]
    assert tried.params["dryRun"] == "true"
    assert "dryRun" not in done.params
    assert (done.params["keepScale"], done.params["strict"]) == ("true", "true")
    assert "tasksRunning" not in done.body["apps"][0]
    assert done.body["apps"][0]["instances"] == 3


def test_apps_that_a_file_leaves_out_are_removed_only_on_purpose(
    egret: Egret, stub: Stub, file: Path
) -> None:
    """Who deploys a part must not lose the rest."""
    stub.on("PUT", "/v2/groups", 200, rehearsal("/shop/old"))
    result = egret("group", "deploy", str(file))
    assert result.exit_code == 2
    assert "/shop/old" in result.stderr
    assert "--remove-others" in result.stderr
    assert [one.params.get("dryRun") for one in stub.asked] == ["true"]


def test_waiting_checks_the_apps_that_stay(egret: Egret, stub: Stub, file: Path) -> None:
    changes = [
        {"app": "/shop/old", "before": "u", "after": None},
        {"app": "/shop/web", "before": "u", "after": "v"},
    ]
    stub.on("PUT", "/v2/groups", 200, rehearsal("/shop/old"))
    stub.on("PUT", "/v2/groups", 200, ACCEPTED)
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running", changes=changes))
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("done", changes=changes))
    stub.on("GET", "/v2/apps/shop/web", 200, {"app": an_app("/shop/web", version="v")})
    result = egret("group", "deploy", str(file), "--remove-others", "--wait")
    assert (result.exit_code, result.stdout) == (0, "done\n")


def test_a_single_app_is_no_group(egret: Egret, tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text(json.dumps(an_app()))
    result = egret("group", "deploy", str(path))
    assert result.exit_code == 2
    assert "egret app deploy" in result.stderr


def test_scaling_multiplies(egret: Egret, stub: Stub) -> None:
    stub.on("PUT", "/v2/groups/shop/back", 200, ACCEPTED)
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running"))
    assert egret("group", "scale", "/shop/back", "1.5").exit_code == 0
    assert stub.bodies("PUT") == [{"scaleBy": 1.5}]


def test_removing_a_group_wants_a_yes(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/groups/shop", 200, SHOP)
    stub.on("DELETE", "/v2/groups/shop", 200, ACCEPTED)
    refused = egret("group", "remove", "shop")
    assert refused.exit_code == 2
    assert "2 apps" in refused.stderr
    assert "DELETE" not in [one.method for one in stub.asked]
    result = egret("group", "remove", "shop", "--yes")
    assert result.stdout == "removing group /shop with 2 apps (deployment d1)\n"
