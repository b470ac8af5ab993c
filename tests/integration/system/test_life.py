"""Apps from their JSON to their end, as the master and this machine's processes show it."""

import os
import signal
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.scheduler.processes import wait_for
from tests.integration.system.site import SERVICE, SLEEP, Egret, Mesos

WEB: dict[str, Any] = {
    "id": "/web",
    "cmd": SLEEP,
    "cpus": 0.05,
    "mem": 32,
    "instances": 3,
    "portDefinitions": [],
    "backoffSeconds": 1,
    "taskKillGracePeriodSeconds": 3,
}


def with_check(check: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Say when WEB counts as well, and how soon it is given up."""
    pace = {
        "gracePeriodSeconds": 20,
        "intervalSeconds": 1,
        "maxConsecutiveFailures": 2,
        "delaySeconds": 0,
    }
    return {**WEB, "healthChecks": [{**pace, **check}], **fields}


def test_an_app_is_deployed_scaled_up_and_down_and_removed(egret: Egret, mesos: Mesos, many: int):
    egret.deploy(WEB)
    first = egret.until_settled("/web", 3)
    egret.change("PUT", "/v2/apps/web", {"instances": many})
    assert first <= egret.until_settled("/web", many), "scaling up leaves what runs alone"
    egret.change("PUT", "/v2/apps/web", {"instances": 2})
    egret.until_settled("/web", 2)
    egret.remove("/web")
    egret.until_running(0)
    egret.until_quiet()
    assert egret.get("/v2/apps") == {"apps": []}
    assert egret.raw("GET", "/v2/apps/web")[0] == 404
    assert egret.get("/v2/tasks") == {"tasks": []}
    ids = [task["id"] for task in mesos.tasks(egret.framework_id)]
    assert len(ids) == len(set(ids)), "a task id was used twice"


def test_a_task_killed_by_hand_is_replaced_after_the_backoff(egret: Egret, mesos: Mesos):
    egret.deploy({**WEB, "backoffSeconds": 2})
    before = egret.until_settled("/web", 3)
    victim, pid = next(iter(egret.pids().items()))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: victim not in egret.running(), "the task is gone")
    after = egret.until_settled("/web", 3)
    assert len(after & before) == 2
    (new,) = after - before
    at_s = {
        task["id"]: {one["state"]: one["timestamp"] for one in task["statuses"]}
        for task in mesos.tasks(egret.framework_id)
    }
    assert at_s[new]["TASK_RUNNING"] - at_s[victim]["TASK_FAILED"] >= 1.9
    failure = egret.get("/v2/apps/web")["app"]["lastTaskFailure"]
    assert (failure["taskId"], failure["state"]) == (victim, "TASK_FAILED")


CHECKS: dict[str, dict[str, Any]] = {
    "HTTP": {"protocol": "HTTP", "path": "/", "portIndex": 0},
    "MESOS_HTTP": {"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0},
    "COMMAND": {"protocol": "COMMAND", "command": {"value": 'test ! -e "$SICK"'}},
}


@pytest.mark.parametrize("protocol", CHECKS)
def test_an_unhealthy_task_is_killed_and_replaced(egret: Egret, tmp_path: Path, protocol: str):
    sick = tmp_path / "sick"
    egret.deploy(
        with_check(
            CHECKS[protocol],
            cmd=SERVICE,
            instances=1,
            env={"SICK": str(sick)},
            portDefinitions=[{"port": 0}],
        )
    )
    before = egret.until_settled("/web", 1)
    sick.touch()
    wait_for(lambda: not before & egret.running(), "the unhealthy task is killed")
    sick.unlink()
    after = egret.until_settled("/web", 1)
    assert not before & after


def test_a_task_whose_secret_nobody_resolves_fails_and_says_so(egret: Egret, mesos: Mesos):
    if mesos.is_real:
        pytest.skip("whether its agents have a secret resolver is not ours to know")
    fields = {"env": {"PW": {"secret": "pw"}}, "secrets": {"pw": {"source": "vault/pw"}}}
    egret.deploy({**WEB, **fields, "instances": 1})
    failure = wait_for(lambda: egret.get("/v2/apps/web")["app"].get("lastTaskFailure"), "a failure")
    assert failure["state"] == "TASK_FAILED"
    assert "no secret resolver to look up 'vault/pw'" in failure["message"]
    shown = egret.get("/v2/apps/web")["app"]
    assert {name: shown[name] for name in fields} == fields
    assert not egret.running()


def test_a_task_that_ignores_term_is_killed_after_its_grace_period(egret: Egret):
    stubborn = "trap '' TERM; while true; do sleep 1; done"
    egret.deploy({**WEB, "cmd": stubborn, "instances": 1, "taskKillGracePeriodSeconds": 1})
    egret.until_settled("/web", 1)
    pids = egret.pids("sh")
    egret.remove("/web")
    egret.until_running(0)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), "it ended")


def test_constraints_are_kept_and_what_waits_says_why(egret: Egret, mesos: Mesos):
    agents = mesos.state()["slaves"]
    racks = {agent["id"]: agent["attributes"].get("rack") for agent in agents}
    on = next(iter(racks))
    fields, name = ("rack", racks[on]) if racks[on] else ("hostname", agents[0]["hostname"])
    egret.deploy(
        {**WEB, "id": "/like", "instances": 4, "constraints": [[fields, "LIKE", str(name)]]}
    )
    egret.deploy(
        {**WEB, "id": "/unique", "instances": len(agents) + 1, "constraints": [[fields, "UNIQUE"]]}
    )
    egret.until_running(4, "like.")
    egret.until_running(len(agents), "unique.")
    where = {task["id"]: task["slave_id"] for task in mesos.tasks(egret.framework_id)}
    assert {agent for task, agent in where.items() if "like." in task} == {on}
    assert len({agent for task, agent in where.items() if "unique." in task}) == len(agents)

    def waits() -> bool:
        queue = {one["app"]["id"]: one for one in egret.get("/v2/queue")["queue"]}
        if "/unique" not in queue or queue["/unique"]["count"] != 1:
            return False
        reasons = queue["/unique"]["processedOffersSummary"]["rejectSummaryLastOffers"]
        refused = {one["reason"]: one["declined"] for one in reasons}
        return refused["UnfulfilledConstraint"] > 0

    wait_for(waits, "the instance that has no place says so")


WRONG: dict[str, tuple[str, str, bytes, int]] = {
    "no JSON": ("POST", "/v2/apps", b"{", 400),
    "duplicate keys": ("POST", "/v2/apps", b'{"id": "/a", "id": "/b", "cmd": "x"}', 400),
    "NaN": ("POST", "/v2/apps", b'{"id": "/a", "cmd": "x", "cpus": NaN}', 400),
    "a wrong type": ("POST", "/v2/apps", b'{"id": "/a", "cmd": ["x"]}', 400),
    "an invalid id": ("POST", "/v2/apps", b'{"id": "/A b", "cmd": "x"}', 422),
    "nothing to run": ("POST", "/v2/apps", b'{"id": "/a"}', 422),
    "deep nesting": ("POST", "/v2/apps", b'{"id": ' + b"[" * 100_000, 400),
    "an unknown field, strictly": (
        "POST", "/v2/apps?strict=true", b'{"id": "/a", "cmd": "x", "colour": 1}', 422,
    ),
    "an unknown app": ("GET", "/v2/apps/nobody", b"", 404),
    "an unknown method": ("PATCH", "/v2/info", b"", 405),
}  # fmt: skip


def test_wrong_input_is_refused_by_name_and_changes_nothing(egret: Egret):
    for what, (method, path, data, expected) in WRONG.items():
        status, body = egret.raw(method, path, data or None)
        assert status == expected, f"{what}: {status} {body}"
        assert body["message"], what
    assert egret.get("/v2/apps") == {"apps": []}


def test_a_body_over_the_limit_is_refused_before_it_is_sent(egret: Egret):
    with closing(HTTPConnection("127.0.0.1", egret.port, timeout=30)) as connection:
        connection.putrequest("POST", "/v2/apps")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        assert connection.getresponse().status == 413
