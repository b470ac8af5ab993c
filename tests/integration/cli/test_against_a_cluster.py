"""The commands against a scheduler that runs, in the order a person would use them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.demo.running_demo import Demo, egret
from tests.support import eventually, free_ports

APP = {
    "id": "/site",
    "cmd": "echo started; exec python3 -u -m http.server $PORT0",
    "cpus": 0.1,
    "mem": 32,
    "instances": 1,
    "portDefinitions": [{"port": 0, "name": "http"}],
    "upgradeStrategy": {"minimumHealthCapacity": 0},
    "taskKillGracePeriodSeconds": 1,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user who has an empty cluster running."""
    home = tmp_path_factory.mktemp("user")
    with Demo(home, "--consul", "off", "--http-port", str(free_ports(1)[0])) as demo:
        demo.wait_for("Ctrl-C here ends everything.")
        yield home


def run(home: Path, *arguments: str, code: int = 0) -> str:
    result = egret(home, *arguments)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def shown(home: Path, *arguments: str) -> Any:
    result = egret(home, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def deploy(home: Path, tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "app.json"
    path.write_text(json.dumps({**APP, **changes}))
    run(home, "app", "deploy", "--wait", str(path))
    return str(path)


def test_the_life_of_an_app(home: Path, tmp_path: Path) -> None:
    file = deploy(home, tmp_path)
    assert "/site" in run(home, "app", "list")
    assert run(home, "app", "diff", file) == ""

    run(home, "app", "scale", "/site", "3", "--wait")
    first = {task["id"] for task in shown(home, "task", "list", "/site")}
    assert len(first) == 3

    run(home, "app", "restart", "site", "--wait", "--timeout", "60")
    second = {task["id"] for task in shown(home, "task", "list", "/site")}
    assert len(second) == 3
    assert not first & second

    deploy(home, tmp_path, env={"COLOUR": "blue"}, instances=3)
    assert shown(home, "app", "show", "site")["env"] == {"COLOUR": "blue"}
    assert len(shown(home, "app", "versions", "site")) >= 3
    run(home, "app", "rollback", "site", "--wait")
    assert "env" not in shown(home, "app", "show", "site")

    run(home, "app", "stop", "site", "--wait")
    assert shown(home, "task", "list", "site") == []
    assert "stopped" in run(home, "app", "list")
    run(home, "app", "remove", "site", "--wait")
    assert "App '/site' does not exist" in run(home, "app", "show", "site", code=6)


WARMING_UP = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(sys.argv[2]) else 503)
        self.end_headers()
        self.wfile.write(b"warming up")
    def log_message(self, *_): pass
http.server.HTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""


def waiting_for(home: Path) -> tuple[Any, str]:
    """Give the only deployment, if there is one, and what the list says that it waits for."""
    deployments = shown(home, "deployment", "list")
    return (deployments or [{}])[0], run(home, "deployment", "list")


async def test_a_group_is_deployed_when_its_tasks_say_that_they_are_ready(
    home: Path, tmp_path: Path
) -> None:
    script, flag, path = tmp_path / "server.py", tmp_path / "warm", tmp_path / "shop.json"
    script.write_text(WARMING_UP)
    check = {
        "portName": "http",
        "intervalSeconds": 2,
        "timeoutSeconds": 1,
        "preserveLastResponse": True,
    }
    web = {**APP, "id": "web", "cmd": f"exec python3 {script} $PORT0 {flag}", "instances": 2}
    other = {**APP, "id": "other"}
    path.write_text(
        json.dumps({"id": "/shop", "apps": [{**web, "readinessChecks": [check]}, other]})
    )
    run(home, "group", "deploy", str(path))
    await eventually(
        lambda: "2 instances: healthy, not ready" in waiting_for(home)[1], what="the reason"
    )

    def last_responses() -> list[Any]:
        actions = waiting_for(home)[0]["currentActions"]
        return [one for action in actions for one in action["readinessCheckResults"]]

    await eventually(
        lambda: (
            [one.get("lastResponse", {}).get("body") for one in last_responses()]
            == ["warming up"] * 2
        ),
        what="the answers",
    )
    deployment = waiting_for(home)[0]["id"]
    run(home, "deployment", "pause", deployment)
    assert "paused" in waiting_for(home)[1]
    run(home, "deployment", "resume", deployment)
    flag.touch()
    run(home, "deployment", "watch", deployment, "--timeout", "60")
    assert "/shop " in run(home, "group", "list")
    run(home, "group", "scale", "/shop", "0.5", "--wait", "--timeout", "60")
    assert len(shown(home, "task", "list", "/shop/web")) == 1
    path.write_text(json.dumps({"id": "/shop", "apps": [other]}))
    assert "/shop/web" in run(home, "group", "deploy", str(path), code=2)
    run(home, "group", "deploy", str(path), "--remove-others", "--wait", "--timeout", "60")
    assert "/shop/web" not in run(home, "app", "list")
    assert shown(home, "task", "list", "--unknown") == []
    run(home, "group", "remove", "/shop", "--yes", "--wait", "--timeout", "60")
    assert "/shop" not in run(home, "group", "list")


async def test_what_a_task_wrote_can_be_read(home: Path, tmp_path: Path) -> None:
    deploy(home, tmp_path, id="/talker")
    # It counts as running a moment before its shell has written anything.
    await eventually(lambda: "started" in run(home, "app", "logs", "talker"), what="its output")
    run(home, "app", "remove", "talker", "--wait")


async def test_what_a_task_wrote_before_it_failed_can_be_read(home: Path, tmp_path: Path) -> None:
    """It is what people look for first."""
    path = tmp_path / "app.json"
    crash = {"id": "/crash", "cmd": "echo cannot go on >&2; exit 3", "backoffSeconds": 3600}
    path.write_text(json.dumps({**APP, **crash}))
    run(home, "app", "deploy", str(path))
    await eventually(
        lambda: "exited with status 3" in run(home, "app", "show", "crash"), what="the failure"
    )
    assert "cannot go on" in run(home, "app", "logs", "crash", "--stderr")
    run(home, "app", "remove", "crash", "--wait")


async def test_an_app_that_does_not_fit_is_explained_and_can_be_cancelled(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "app.json"
    path.write_text(json.dumps({**APP, "id": "/giant", "cpus": 1000}))
    waited = run(home, "app", "deploy", "--wait", "--timeout", "4", str(path), code=5)
    assert "/giant: 0 of 1 running" in waited
    await eventually(
        lambda: "not enough cpus on any agent" in run(home, "queue"), what="offers were refused"
    )
    (deployment,) = shown(home, "deployment", "list")
    locked = run(home, "app", "scale", "/giant", "2", code=4)
    assert deployment["id"] in locked
    run(home, "deployment", "cancel", deployment["id"])
    run(home, "deployment", "watch", "--timeout", "60")
    run(home, "app", "show", "/giant", code=6)


def test_the_scheduler_tells_about_itself(home: Path) -> None:
    info = shown(home, "info")
    assert info["egret"]["mesosConnected"] is True
    assert shown(home, "leader") == {"leader": info["leader"]}
    verdicts = {one["what"]: one["verdict"] for one in shown(home, "doctor")}
    assert verdicts["scheduler"] == verdicts["Mesos"] == verdicts["store"] == "ok"
