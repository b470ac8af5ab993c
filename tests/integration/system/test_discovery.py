"""What clients of Consul see while apps come, change, fail and go."""

import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.discovery_support import ConsulView
from tests.integration.scheduler.processes import wait_for
from tests.integration.system.conftest import Make
from tests.integration.system.site import SERVICE, Egret, Mesos
from tests.support import running_consul, suspended_consul


@pytest.fixture
def name() -> str:
    """An app and service that no other test uses: they share one Consul."""
    return f"web-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def egret(make_egret: Make, mesos: Mesos, consul: str) -> Egret:
    """However slow Consul is, it is waited for before a task is killed."""
    return make_egret(mesos, "--consul", consul, "--consul-deregister-timeout", "60")


def service(name: str, **fields: Any) -> dict[str, Any]:
    check = {
        "protocol": "HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 60,
        "intervalSeconds": 1, "maxConsecutiveFailures": 2,
    }  # fmt: skip
    app: dict[str, Any] = {
        "id": f"/{name}", "cmd": SERVICE, "cpus": 0.05, "mem": 32, "instances": 2,
        "portDefinitions": [{"port": 0}], "healthChecks": [check],
        "taskKillGracePeriodSeconds": 30,
    }  # fmt: skip
    return {**app, **fields}


def listed(egret: Egret, name: str) -> list[tuple[str, int]]:
    """Where the tasks of the app listen, by our own API."""
    tasks = egret.get(f"/v2/apps/{name}/tasks")["tasks"]
    return sorted(("127.0.0.1", task["ports"][0]) for task in tasks)


def until_registered(egret: Egret, view: ConsulView, name: str, count: int) -> None:
    def is_right() -> bool:
        found = view.passing(name)
        return len(found) == count and found == listed(egret, name)

    wait_for(is_right, f"{count} entries of {name} are right")


def test_entries_follow_the_healthy_tasks_from_first_to_last(
    egret: Egret, consul: str, name: str, tmp_path: Path
):
    """Registered when healthy, replaced when sick, and gone before the task is told to end."""
    view = ConsulView(consul)
    sick, evidence = tmp_path / "sick", tmp_path / "evidence"
    sick.touch()
    env = {"SICK": str(sick), "EVIDENCE": str(evidence), "CONSUL": consul, "SERVICE": name}
    egret.deploy(service(name, env=env))
    egret.until_running(2)
    assert view.services(name) == [], "not healthy yet"
    sick.unlink()
    egret.until_settled(f"/{name}", 2)
    until_registered(egret, view, name, 2)
    egret.change("PUT", f"/v2/apps/{name}", {"instances": 3})
    egret.until_settled(f"/{name}", 3)
    until_registered(egret, view, name, 3)
    sick.touch()
    wait_for(lambda: view.services(name) == [], "sick tasks leave Consul")
    sick.unlink()
    egret.until_settled(f"/{name}", 3)
    until_registered(egret, view, name, 3)
    egret.remove(f"/{name}")
    egret.until_running(0)
    wait_for(lambda: name not in view.names(), "nothing is left in Consul")
    # A task that is being killed runs no more for the master, but may not have written yet.
    wait_for(lambda: not egret.being_killed(), "every task has ended")
    left = evidence.read_text().split()
    assert len(left) >= 3
    assert set(left) == {"0"}, "each task found itself deregistered when it was told to end"


def test_a_scheduler_that_stays_away_loses_no_entry(egret: Egret, consul: str, name: str):
    view = ConsulView(consul)
    egret.deploy(service(name))
    before = egret.until_settled(f"/{name}", 2)
    until_registered(egret, view, name, 2)
    entries = view.passing(name)
    egret.kill()
    assert view.passing(name) == entries
    victim, pid = next(iter(egret.pids("python3").items()))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: victim not in egret.running(), "a task has died meanwhile")
    assert view.passing(name) == entries, "nobody is there to notice"
    egret.up()
    assert len(before & egret.until_settled(f"/{name}", 2)) == 1
    until_registered(egret, view, name, 2)


def test_a_consul_that_hangs_stops_no_scheduling_and_catches_up(
    make_egret: Make, mesos: Mesos, consul_binary: Path, tmp_path: Path, name: str
):
    folder = tmp_path / "consul"
    folder.mkdir()
    with running_consul(consul_binary, folder) as url:
        egret = make_egret(mesos, "--consul", url, "--consul-deregister-timeout", "1")
        view = ConsulView(url)
        egret.deploy(service(name))
        egret.until_settled(f"/{name}", 2)
        until_registered(egret, view, name, 2)
        with suspended_consul(folder):
            egret.change("PUT", f"/v2/apps/{name}", {"instances": 4})
            egret.until_settled(f"/{name}", 4)
            egret.deploy(service(f"{name}-b", instances=1))
            egret.until_settled(f"/{name}-b", 1)
            egret.change("PUT", f"/v2/apps/{name}", {"instances": 1})
            egret.until_settled(f"/{name}", 1)
        until_registered(egret, view, name, 1)
        until_registered(egret, view, f"{name}-b", 1)
