"""Apps that ask for Egret's own executor: who shares one, and what survives whose death."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.scheduler.processes import wait_for
from tests.integration.system.conftest import Make
from tests.integration.system.site import SERVICE, SLEEP, Egret, Mesos

APP: dict[str, Any] = {
    "id": "/own",
    "cmd": SLEEP,
    "cpus": 0.05,
    "mem": 32,
    "instances": 3,
    "portDefinitions": [],
    "backoffSeconds": 1,
    "taskKillGracePeriodSeconds": 3,
    "executor": "egret",
}
EXECUTOR_CPUS = 0.1


def on_one_agent(mesos: Mesos) -> dict[str, Any]:
    """The app, kept to one agent by the attribute that tells it from the others."""
    return {
        **APP,
        "constraints": [["rack", "IS", mesos.state()["slaves"][0]["attributes"]["rack"]]],
    }


def executors(egret: Egret) -> dict[str, set[str]]:
    """Executor → ids of its running tasks, as the master sees them."""
    found: dict[str, set[str]] = {}
    for task in egret.mesos.tasks(egret.framework_id):
        if task["state"] == "TASK_RUNNING":
            found.setdefault(task["executor_id"], set()).add(task["id"])
    return found


def executor_pid(task_pid: int) -> int:
    """The parent of a task's process."""
    stat = Path(f"/proc/{task_pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def used_cpus(egret: Egret) -> float:
    state = egret.mesos.state()["frameworks"]
    (found,) = [one for one in state if one["id"] == egret.framework_id]
    return found["used_resources"]["cpus"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_tasks_share_executors_of_at_most_fifty_however_the_app_grows(egret: Egret, mesos: Mesos):
    app = on_one_agent(mesos)
    egret.deploy(app)
    first = egret.until_settled("/own", 3)
    before = executors(egret)
    for instances in (20, 60):
        egret.change("PUT", "/v2/apps/own", {"instances": instances})
        assert first <= egret.until_settled("/own", instances)
        now = executors(egret)
        assert set(before) <= set(now), "running executors are joined"
        full, rest = divmod(instances, 50)
        assert sorted(len(tasks) for tasks in now.values()) == sorted([50] * full + [rest])
        cpus = instances * app["cpus"] + len(now) * EXECUTOR_CPUS
        assert used_cpus(egret) == pytest.approx(cpus), "an executor is charged once"
    pids = egret.pids()
    assert len({executor_pid(pid) for pid in pids.values()}) == len(now)
    egret.remove("/own")
    egret.until_running(0)
    wait_for(lambda: used_cpus(egret) == 0, "executors without tasks leave")


def test_only_the_tasks_of_a_killed_executor_are_replaced(egret: Egret):
    egret.deploy({**APP, "instances": 4})
    egret.deploy({**APP, "id": "/other", "instances": 2})
    lost = egret.until_settled("/own", 4)
    kept = egret.until_settled("/other", 2)
    before = egret.pids()
    victims = {executor_pid(before[task]) for task in lost}
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not lost & egret.running(), "its tasks are gone")
    wait_for(lambda: not any(is_alive(before[task]) for task in lost), "their processes, too")
    egret.until_settled("/own", 4)
    assert {task: egret.pids()[task] for task in kept} == {task: before[task] for task in kept}
    failure = egret.get("/v2/apps/own")["app"]["lastTaskFailure"]
    assert failure["message"] == "Executor terminated"


def test_tasks_outlive_the_scheduler_and_their_ends_meanwhile_are_told(egret: Egret):
    egret.deploy({**APP, "instances": 4})
    before = egret.until_settled("/own", 4)
    pids = egret.pids()
    egret.kill()
    victim = min(before)
    os.kill(pids[victim], signal.SIGKILL)
    wait_for(lambda: not is_alive(pids[victim]), "the task has ended")
    egret.up()
    wait_for(lambda: victim not in egret.running(), "its end is told")
    after = egret.until_settled("/own", 4)
    assert before - after == {victim}
    now = egret.pids()
    assert {task: now[task] for task in after & before} == {
        task: pids[task] for task in after & before
    }
    failure = egret.get("/v2/apps/own")["app"]["lastTaskFailure"]
    assert failure["message"] == "Command terminated with signal Killed"


def test_tasks_outlive_their_agents_process_and_their_ends_meanwhile_are_told(
    make_egret: Make, fragile: Mesos
):
    egret = make_egret(fragile)
    egret.deploy({**APP, "instances": 4})
    before = egret.until_settled("/own", 4)
    pids = egret.pids()
    for agent in range(2):
        fragile.control("kill-agent", agent=agent)
    victim = min(before)
    os.kill(pids[victim], signal.SIGKILL)
    wait_for(lambda: not is_alive(pids[victim]), "the task has ended")
    for agent in range(2):
        fragile.control("return-agent", agent=agent)
    wait_for(lambda: victim not in egret.running(), "its end is told")
    after = egret.until_settled("/own", 4)
    assert before - after == {victim}
    assert all(egret.pids()[task] == pids[task] for task in after & before)


def test_a_new_version_replaces_the_tasks_and_keeps_the_old_until_it_runs(egret: Egret):
    check = {"protocol": "COMMAND", "command": {"value": "true"}, "intervalSeconds": 1}
    fields = {"healthChecks": [{**check, "delaySeconds": 0}], "upgradeStrategy": {
        "minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}}  # fmt: skip
    egret.deploy({**APP, **fields})
    old = egret.until_settled("/own", 3)
    egret.change("PUT", "/v2/apps/own", {"env": {"A": "b"}})
    new = egret.until_settled("/own", 3)
    assert not old & new
    environ = Path(f"/proc/{egret.pids()[min(new)]}/environ").read_bytes().split(b"\0")
    assert b"A=b" in environ


CHECKS = {
    "HTTP": {"protocol": "HTTP", "path": "/", "portIndex": 0},
    "MESOS_HTTP": {"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0},
    "COMMAND": {"protocol": "COMMAND", "command": {"value": 'test ! -e "$SICK"'}},
}


@pytest.mark.parametrize("protocol", CHECKS)
def test_an_unhealthy_task_is_killed_and_replaced(egret: Egret, tmp_path: Path, protocol: str):
    sick = tmp_path / "sick"
    pace = {"gracePeriodSeconds": 20, "intervalSeconds": 1, "maxConsecutiveFailures": 2}
    egret.deploy(
        {
            **APP,
            "cmd": SERVICE,
            "instances": 1,
            "env": {"SICK": str(sick)},
            "portDefinitions": [{"port": 0}],
            "healthChecks": [{**pace, **CHECKS[protocol], "delaySeconds": 0}],
        }
    )
    before = egret.until_settled("/own", 1)
    sick.touch()
    wait_for(lambda: not before & egret.running(), "the unhealthy task is killed")
    sick.unlink()
    assert not before & egret.until_settled("/own", 1)


def test_a_task_that_ignores_term_is_killed_after_its_grace_period_and_its_neighbour_lives(
    egret: Egret,
):
    stubborn = "trap '' TERM; while true; do sleep 1; done"
    egret.deploy({**APP, "cmd": stubborn, "instances": 2, "taskKillGracePeriodSeconds": 1})
    before = egret.until_settled("/own", 2)
    pids = wait_for(
        lambda: len(found := egret.pids("sh")) == 2 and found, "the tasks' processes are there"
    )
    egret.change("PUT", "/v2/apps/own", {"instances": 1})
    (left,) = egret.until_settled("/own", 1)
    (gone,) = before - {left}
    wait_for(lambda: not is_alive(pids[gone]), "it ended")
    assert is_alive(pids[left])


def test_a_task_that_fails_says_how(egret: Egret):
    egret.deploy({**APP, "cmd": "echo oops >&2; exit 3", "instances": 1})
    failure = wait_for(lambda: egret.get("/v2/apps/own")["app"].get("lastTaskFailure"), "a failure")
    assert failure["message"] == "Command exited with status 3"
    assert failure["state"] == "TASK_FAILED"
