"""The real scheduler against the embedded cluster: start, crash anywhere, go on."""

import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.scheduler.processes import DEADLINE_S, Cluster, Scheduler, wait_for

APP: dict[str, Any] = {"id": "/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 3}

# Point and passage: each names a moment between the start and three running tasks.
CRASHES = [
    "elected", "loaded", "decided:1", "decided:2", "decided:3", "decided:5",
    "before_commit:1", "before_commit:2", "before_commit:3", "before_commit:5",
    "after_commit:1", "after_commit:2", "after_commit:3", "after_commit:5",
    "before_effects:3", "after_mesos_effect:1", "after_mesos_effect:3", "after_mesos_effect:5",
    "after_effects:3", "after_effects:5",
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture
def scheduler(tmp_path: Path, cluster: Cluster) -> Iterator[Scheduler]:
    scheduler = Scheduler(tmp_path, cluster.master)
    yield scheduler
    if scheduler.process is not None and scheduler.process.poll() is None:
        scheduler.ask("DELETE", "/v2/apps/web?force=true")
    scheduler.close()


def running(scheduler: Scheduler) -> set[str]:
    tasks = scheduler.tasks_of("/web")
    return {task["id"] for task in tasks if task["state"] == "TASK_RUNNING"}


def until_running(scheduler: Scheduler, count: int) -> set[str]:
    return wait_for(
        lambda: len(running(scheduler)) == count and running(scheduler), f"{count} tasks run"
    )


def test_a_killed_scheduler_comes_back_as_the_same_framework_and_touches_no_task(
    scheduler: Scheduler, cluster: Cluster
):
    scheduler.start()
    scheduler.until_leading()
    assert scheduler.ask("POST", "/v2/apps", APP)[0] == 201
    before = until_running(scheduler, 3)
    _, info = scheduler.ask("GET", "/v2/info")
    assert scheduler.process is not None
    scheduler.process.kill()
    scheduler.process.wait()
    scheduler.start()
    scheduler.until_leading()
    assert scheduler.ask("GET", "/v2/info")[1]["frameworkId"] == info["frameworkId"]
    assert running(scheduler) == before
    mine = [task for task in cluster.tasks() if task["id"] in before]
    assert {task["state"] for task in mine} == {"TASK_RUNNING"}


def test_a_scheduler_answers_only_to_the_names_it_was_given(scheduler: Scheduler):
    """Nobody has to authenticate, and a web page may let its own name mean this machine."""
    scheduler.start("--webui-url", "https://egret.example/")
    scheduler.until_leading()
    found: list[int] = []
    for host in ("egret.example", "evil.example"):
        connection = HTTPConnection("127.0.0.1", scheduler.port, timeout=DEADLINE_S)
        connection.request("GET", "/v2/apps", headers={"Host": host})
        found.append(connection.getresponse().status)
        connection.close()
    assert found == [200, 403]


@pytest.mark.parametrize("crashpoint", CRASHES)
def test_after_a_crash_at_any_point_the_work_goes_on_and_nothing_runs_twice(
    scheduler: Scheduler, cluster: Cluster, crashpoint: str
):
    """F6: an answered write is kept, and no task id is launched twice (S3, S7)."""
    process = scheduler.start(crashpoint=crashpoint)

    def posted_or_dead() -> bool:
        return process.poll() is not None or scheduler.ask("POST", "/v2/apps", APP)[0] in {201, 409}

    wait_for(posted_or_dead, "the app is posted, or the scheduler has died")
    assert process.wait(DEADLINE_S) == -signal.SIGKILL
    scheduler.start()
    scheduler.until_leading()
    status, _ = scheduler.ask("POST", "/v2/apps", APP)
    assert status in {201, 409}
    tasks = until_running(scheduler, 3)
    wait_for(lambda: scheduler.ask("GET", "/v2/deployments")[1] == [], "the deployment is done")
    assert running(scheduler) == tasks
    framework_id = scheduler.ask("GET", "/v2/info")[1]["frameworkId"]
    mine = [task for task in cluster.tasks() if task["framework_id"] == framework_id]
    alive = [task["id"] for task in mine if task["state"] == "TASK_RUNNING"]
    assert set(alive) == tasks
    assert set(Counter(task["id"] for task in mine).values()) == {1}


def test_a_second_scheduler_waits_and_takes_over(scheduler: Scheduler, tmp_path: Path):
    first = scheduler.start()
    scheduler.until_leading()
    assert scheduler.ask("POST", "/v2/apps", APP)[0] == 201
    before = until_running(scheduler, 3)
    second = Scheduler(tmp_path, scheduler.master)
    second.start()
    wait_for(lambda: second.ask("GET", "/v2/apps")[0] == 503, "the second answers that it waits")
    first.kill()
    first.wait()
    second.until_leading()
    assert running(second) == before
    second.ask("DELETE", "/v2/apps/web?force=true")
    second.close()


def test_a_stop_by_signal_is_clean_and_leaves_the_tasks(scheduler: Scheduler, cluster: Cluster):
    process = scheduler.start()
    scheduler.until_leading()
    assert scheduler.ask("POST", "/v2/apps", APP)[0] == 201
    before = until_running(scheduler, 3)
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    alive = {task["id"] for task in cluster.tasks() if task["state"] == "TASK_RUNNING"}
    assert before <= alive
    scheduler.start()
    scheduler.until_leading()
    assert running(scheduler) == before


def test_a_damaged_store_is_refused_by_name(scheduler: Scheduler):
    process = scheduler.start()
    scheduler.until_leading()
    process.terminate()
    process.wait(DEADLINE_S)
    with sqlite3.connect(scheduler.store) as database:
        database.execute("INSERT INTO record VALUES ('app', '/broken', x'ff')")
    database.close()
    assert scheduler.start().wait(DEADLINE_S) == 1
    assert "stored record app '/broken' cannot be decoded" in scheduler.log_text()


def test_a_torn_down_framework_ends_its_tasks_and_is_never_silently_replaced(
    scheduler: Scheduler, cluster: Cluster
):
    """Invariant S13."""
    process = scheduler.start()
    scheduler.until_leading()
    assert scheduler.ask("POST", "/v2/apps", APP)[0] == 201
    before = until_running(scheduler, 3)
    framework_id = scheduler.ask("GET", "/v2/info")[1]["frameworkId"]
    assert scheduler.ask("POST", f"/v2/egret/teardown?confirm={framework_id}")[0] == 200
    assert process.wait(DEADLINE_S) == 0
    wait_for(
        lambda: (
            not before & {task["id"] for task in cluster.tasks() if task["state"] == "TASK_RUNNING"}
        ),
        "the tasks are gone",
    )
    assert scheduler.start().wait(DEADLINE_S) == 1
    assert "Mesos has removed our framework" in scheduler.log_text()


def test_a_taken_port_is_said_at_once(scheduler: Scheduler, tmp_path: Path):
    scheduler.start()
    scheduler.until_leading()
    other = Scheduler(tmp_path, scheduler.master)
    other.port = scheduler.port
    assert other.start().wait(DEADLINE_S) == 2
    assert "cannot_listen" in scheduler.log_text()


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("")
    scheduler = Scheduler(tmp_path, "127.0.0.1:1")
    process = scheduler.start("--store", f"sqlite://{tmp_path}/file/egret.db")
    assert process.wait(DEADLINE_S) == 2
    assert f"{tmp_path}/file" in scheduler.log_text()


def test_bad_flags_are_all_named(tmp_path: Path):
    scheduler = Scheduler(tmp_path, "")
    process: subprocess.Popen[bytes] = scheduler.start("--consul", "nonsense")
    assert process.wait(DEADLINE_S) == 2
    assert "--master: must not be empty" in scheduler.log_text()
    assert "--consul: 'nonsense' is no http or https URL" in scheduler.log_text()
