"""New versions, good and broken: the old one serves until the new one does, as Mesos shows it."""

import time
from typing import Any

from tests.integration.scheduler.processes import wait_for
from tests.integration.system.site import SERVICE, SLEEP, Egret, part_of, sampled

WEB: dict[str, Any] = {
    "id": "/web",
    "cmd": SERVICE,
    "cpus": 0.05,
    "mem": 32,
    "instances": 4,
    "portDefinitions": [{"port": 0}],
    "healthChecks": [
        {
            "protocol": "HTTP",
            "path": "/",
            "portIndex": 0,
            "gracePeriodSeconds": 60,
            "intervalSeconds": 1,
            "maxConsecutiveFailures": 3,
        }
    ],
    "upgradeStrategy": {"minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25},
    "taskKillGracePeriodSeconds": 3,
}


def healthy(egret: Egret) -> int:
    return egret.get("/v2/apps/web")["app"]["tasksHealthy"]


def test_a_rolling_update_never_undershoots_the_minimum_health(egret: Egret):
    egret.deploy(WEB)
    old = egret.until_settled("/web", 4)
    with sampled(lambda: (len(egret.running()), healthy(egret))) as samples:
        egret.change("PUT", "/v2/apps/web", {"env": {"N": "2"}})
        new = egret.until_settled("/web", 4)
    assert not old & new
    assert min(running for running, _ in samples) >= 3
    assert max(running for running, _ in samples) <= 5
    assert min(healthy for _, healthy in samples) >= 3


def test_a_broken_version_reverts_itself_by_its_deadline(egret: Egret, many: int):
    """Of the old version's tasks, all healthy, never fewer run than the minimum (S5)."""
    sleeping = {
        **{name: WEB[name] for name in ("id", "cpus", "mem", "upgradeStrategy", "portDefinitions")},
        "cmd": SLEEP,
        "instances": many,
    }
    egret.deploy(sleeping)
    old = egret.until_settled("/web", many)
    version = egret.get("/v2/apps/web")["app"]["version"]
    broken = {
        "healthChecks": WEB["healthChecks"],
        "update": {"healthyDeadlineSeconds": 4, "autoRevert": True},
    }
    with sampled(lambda: len(old & egret.running())) as samples:
        egret.change("PUT", "/v2/apps/web", broken)
        wait_for(lambda: egret.running() - old, "the broken version has been tried")
        egret.until_quiet()
        back = egret.until_settled("/web", many)
    assert min(samples) >= many * 3 // 4
    assert old & back, "what still ran of the old version was kept"
    app = egret.get("/v2/apps/web")["app"]
    assert "healthChecks" not in app or app["healthChecks"] == []
    assert app["version"] == version


def test_deaths_at_any_moment_of_a_broken_rollout_change_nothing_of_its_outcome(
    egret: Egret, many: int
):
    egret.deploy({**WEB, "cmd": SLEEP, "healthChecks": [], "instances": many})
    old = egret.until_settled("/web", many)
    version = egret.get("/v2/apps/web")["app"]["version"]
    update = {"progressDeadlineSeconds": 6, "autoRevert": True}
    with sampled(lambda: len(old & egret.running())) as samples:
        egret.change("PUT", "/v2/apps/web", {"healthChecks": WEB["healthChecks"], "update": update})
        for further_s in (0.0, 0.1, 0.3, 0.7, 1.5, 4.0):
            time.sleep(further_s)
            egret.kill()
            egret.up()
        wait_for(lambda: egret.running() - old, "the broken version has been tried")
        # Once more while it is being taken back.
        wait_for(lambda: egret.get("/v2/apps/web")["app"]["version"] == version, "it is reverted")
        egret.kill()
        egret.up()
        egret.until_quiet()
        back = egret.until_settled("/web", many)
    assert min(samples) >= many * 3 // 4
    assert old & back, "what still ran of the old version was kept"
    app = egret.get("/v2/apps/web")["app"]
    assert app["version"] == version
    assert "update" not in app


def test_cancelling_half_way_leaves_exactly_the_old_version(egret: Egret, many: int):
    egret.deploy({**WEB, "cmd": SLEEP, "healthChecks": [], "instances": many})
    old = egret.until_settled("/web", many)
    before = egret.get("/v2/apps/web")["app"]
    answer = egret.change("PUT", "/v2/apps/web", {"healthChecks": WEB["healthChecks"]})
    wait_for(lambda: egret.running() - old, "the new version has begun")
    egret.change("DELETE", f"/v2/deployments/{answer['deploymentId']}")
    egret.until_quiet()
    egret.until_settled("/web", many)
    after = egret.get("/v2/apps/web")["app"]
    assert after["version"] == before["version"]
    assert {task["version"] for task in after["tasks"]} == {before["version"]}
    assert len(egret.running(part_of("/web"))) == many
