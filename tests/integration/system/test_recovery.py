"""kill -9 of the scheduler in the middle of its work: it goes on, and touches nothing that runs."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.integration.scheduler.processes import wait_for
from tests.integration.system.conftest import Make
from tests.integration.system.site import SLEEP, Egret, Mesos, sampled

WEB: dict[str, Any] = {
    "id": "/web",
    "cmd": SLEEP,
    "cpus": 0.05,
    "mem": 32,
    "instances": 4,
    "portDefinitions": [],
    "taskKillGracePeriodSeconds": 3,
}


def crash_and_return(egret: Egret) -> dict[str, int]:
    """Kill the scheduler and start it again; returns the tasks that ran meanwhile, with pids."""
    egret.kill()
    pids = egret.pids()
    egret.up()
    return pids


def assert_same_processes(egret: Egret, pids: dict[str, int], tasks: set[str]) -> None:
    now = egret.pids()
    assert {task: now.get(task) for task in pids if task in tasks} == {
        task: pid for task, pid in pids.items() if task in tasks
    }


def assert_no_id_twice(egret: Egret, mesos: Mesos) -> None:
    launched = Counter(task["id"] for task in mesos.tasks(egret.framework_id))
    assert set(launched.values()) == {1}


def test_a_crash_while_deploying_loses_and_doubles_nothing(egret: Egret, mesos: Mesos, many: int):
    egret.deploy({**WEB, "instances": many})
    wait_for(egret.running, "some tasks run")
    pids = crash_and_return(egret)
    tasks = egret.until_settled("/web", many)
    assert set(pids) <= tasks, "a running task was touched"
    assert_same_processes(egret, pids, tasks)
    assert_no_id_twice(egret, mesos)


def test_a_crash_while_scaling_goes_on_to_the_new_number(egret: Egret, mesos: Mesos, many: int):
    egret.deploy(WEB)
    first = egret.until_settled("/web", 4)
    egret.change("PUT", "/v2/apps/web", {"instances": many})
    pids = crash_and_return(egret)
    tasks = egret.until_settled("/web", many)
    assert first <= set(pids) <= tasks
    assert_same_processes(egret, pids, tasks)
    egret.change("PUT", "/v2/apps/web", {"instances": 3})
    crash_and_return(egret)
    assert egret.until_settled("/web", 3) <= tasks
    assert_no_id_twice(egret, mesos)


@pytest.mark.parametrize("moment", range(3))
def test_a_crash_while_rolling_keeps_the_capacity_and_ends_at_the_new_version(
    egret: Egret, mesos: Mesos, moment: int
):
    """S4, S5: between the minimum and the maximum run at all times, seen from Mesos."""
    strategy = {"minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25}
    egret.deploy({**WEB, "instances": 8, "upgradeStrategy": strategy})
    old = egret.until_settled("/web", 8)
    egret.until_quiet()
    with sampled(egret.running) as samples:
        egret.change("PUT", "/v2/apps/web", {"env": {"N": "2"}})
        wait_for(lambda: len(old & egret.running()) <= 7 - 3 * moment, "the roll is on its way")
        pids = crash_and_return(egret)
        new = egret.until_settled("/web", 8)
    assert not old & new
    assert_same_processes(egret, pids, new)
    assert min(map(len, samples)) >= 6
    assert max(map(len, samples)) <= 10
    assert_no_id_twice(egret, mesos)


def test_what_happens_while_the_scheduler_is_away_is_made_good(egret: Egret, mesos: Mesos):
    egret.deploy(WEB)
    before = egret.until_settled("/web", 4)
    assert egret.process is not None
    egret.process.terminate()
    assert egret.process.wait(60) == 0
    assert egret.running() == before
    victim, pid = next(iter(egret.pids().items()))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: victim not in egret.running(), "the task is gone")
    egret.up()
    after = egret.until_settled("/web", 4)
    assert after & before == before - {victim}


def test_a_master_that_restarts_changes_nothing(make_egret: Make, fragile: Mesos):
    egret = make_egret(fragile)
    egret.deploy(WEB)
    before = egret.until_settled("/web", 4)
    pids = egret.pids()
    fragile.control("restart-master", down_s=0.5)
    egret.until_leading()
    egret.change("PUT", "/v2/apps/web", {"instances": 6})
    after = egret.until_settled("/web", 6)
    assert before <= after
    assert_same_processes(egret, pids, after)


@pytest.mark.parametrize("fragile", [("--agent-timeout", "3")], indirect=True, ids=["3s"])
def test_an_agent_that_is_lost_is_made_up_for_and_its_return_leaves_no_task_too_many(
    make_egret: Make, fragile: Mesos
):
    egret = make_egret(fragile)
    egret.deploy(WEB)
    egret.until_settled("/web", 4)
    lost = fragile.look()["agents"][0]["id"]
    fragile.control("kill-agent", agent=0)

    def runs_elsewhere() -> bool:
        tasks = [t for t in fragile.tasks(egret.framework_id) if t["state"] == "TASK_RUNNING"]
        return len(tasks) == 4 and lost not in {task["slave_id"] for task in tasks}

    wait_for(runs_elsewhere, "all four run on the other agent")
    fragile.control("return-agent", agent=0)
    wait_for(lambda: len(fragile.agents()) == 2, "the agent is back")
    tasks = egret.until_settled("/web", 4)
    assert set(egret.pids()) == tasks


def test_launches_and_updates_that_are_lost_hang_nothing(make_egret: Make, fragile: Mesos):
    egret = make_egret(fragile, "--launch-confirm-timeout", "1", "--launch-timeout", "15")
    fragile.control("faults", lose_launches=1, drop_updates=3, duplicate_updates=2)
    egret.deploy(WEB)
    egret.until_settled("/web", 4)
    fragile.control("faults", lose_accepts_after=1, drop_updates=2)
    egret.change("PUT", "/v2/apps/web", {"instances": 8})
    egret.until_settled("/web", 8)
    egret.remove("/web")
    egret.until_running(0)
    egret.until_quiet()
    assert_no_id_twice(egret, fragile)
