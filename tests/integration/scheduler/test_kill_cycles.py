"""Kill the scheduler again and again while it works; nothing answered is lost, nothing doubled."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scheduler.processes import Cluster, Scheduler, wait_for

CYCLES = 20
APPS = ("a", "b", "c", "d")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def scheduler(tmp_path: Path, cluster: Cluster) -> Iterator[Scheduler]:
    scheduler = Scheduler(tmp_path, cluster.master)
    yield scheduler
    scheduler.close()


class Client:
    """Changes apps without pause, and knows for each what may be true of it.

    An answer of 2xx leaves one truth. No answer leaves two: the one before, and the one asked for.
    """

    def __init__(self, scheduler: Scheduler, rng: random.Random) -> None:
        self.scheduler = scheduler
        self.rng = rng
        self.possible: dict[str, set[int | None]] = {app: {None} for app in APPS}
        self.answered = 0
        self.is_done = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.is_done.is_set():
            app = self.rng.choice(APPS)
            wanted = self.rng.choice([None, 1, 2, 3, 4])
            if wanted is None:
                status, _ = self.scheduler.ask("DELETE", f"/v2/apps/{app}?force=true")
            else:
                body = {"cmd": "sleep 1000", "cpus": 0.05, "mem": 16, "instances": wanted}
                status, _ = self.scheduler.ask("PUT", f"/v2/apps/{app}?force=true", body)
            if status in {200, 201} or (status == 404 and wanted is None):
                self.possible[app] = {wanted}
                self.answered += 1
            else:
                self.possible[app].add(wanted)
            time.sleep(0.02)


def counts(scheduler: Scheduler) -> dict[str, int | None]:
    _, body = scheduler.ask("GET", "/v2/apps")
    found = {app["id"].strip("/"): app["instances"] for app in body["apps"]} if body else {}
    return {app: found.get(app) for app in APPS}


@pytest.mark.timeout(600)
def test_twenty_kills_under_load_lose_and_double_nothing(scheduler: Scheduler, cluster: Cluster):
    rng = random.Random(20)
    client = Client(scheduler, rng)
    scheduler.start()
    scheduler.until_leading()
    _, info = scheduler.ask("GET", "/v2/info")
    client.thread.start()
    for _ in range(CYCLES):
        time.sleep(rng.uniform(0.1, 0.8))
        assert scheduler.process is not None
        scheduler.process.kill()
        scheduler.process.wait()
        scheduler.start()
        scheduler.until_leading()
    client.is_done.set()
    client.thread.join()
    assert client.answered >= CYCLES, "the load was real"

    wait_for(lambda: scheduler.ask("GET", "/v2/deployments")[1] == [], "all deployments are done")
    found = counts(scheduler)
    for app, possible in client.possible.items():
        assert found[app] in possible, f"/{app}: an answered write is lost"
    assert scheduler.ask("GET", "/v2/info")[1]["frameworkId"] == info["frameworkId"]

    wanted = sum(count or 0 for count in found.values())

    def alive() -> list[str]:
        return [task["id"] for task in cluster.tasks() if task["state"] == "TASK_RUNNING"]

    wait_for(lambda: len(alive()) == wanted, f"exactly the {wanted} wanted tasks run")
    known = {task["id"] for app in APPS for task in scheduler.tasks_of(app)}
    assert set(alive()) == known
    launched = Counter(task["id"] for task in cluster.tasks())
    assert set(launched.values()) <= {1}, "a task id was used twice"
