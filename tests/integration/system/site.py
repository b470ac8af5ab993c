"""The place under test: a Mesos cluster, Egret on it, and what an onlooker sees of both.

Mesos is asked over its own operator API, and tasks are found among this machine's processes: what
Egret says of itself is never the only witness.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.integration.scheduler.processes import DEADLINE_S, Cluster, Scheduler, wait_for

SERVICE = (
    f"exec {os.environ.get('EGRET_TEST_PYTHON', 'python3')} -S {Path(__file__).parent}/service.py"
)
SLEEP = "exec sleep 100000"


class Mesos:
    """A master, embedded or real, seen from outside."""

    def __init__(self, master: str, cluster: Cluster | None = None) -> None:
        self.master = master
        self._cluster = cluster

    @property
    def is_real(self) -> bool:
        return self._cluster is None

    def state(self) -> dict[str, Any]:
        """The master's state, as soon as it answers: it may just be restarting."""

        def answered() -> dict[str, Any] | None:
            url = f"http://{self.master}/master/state"
            with (
                contextlib.suppress(OSError, HTTPException),
                urlopen(url, timeout=DEADLINE_S) as answer,
            ):
                return json.load(answer)

        return wait_for(answered, "the master answers")

    def metrics(self) -> dict[str, float]:
        """The master's counters and gauges."""
        with urlopen(f"http://{self.master}/metrics/snapshot", timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def tasks(self, framework_id: str) -> list[dict[str, Any]]:
        """Every task of the framework, ended ones included."""
        state = self.state()
        frameworks = state["frameworks"] + state.get("completed_frameworks", [])
        return [
            task
            for framework in frameworks
            if framework["id"] == framework_id
            for kind in ("tasks", "unreachable_tasks", "completed_tasks")
            for task in framework.get(kind, [])
        ]

    def running(self, framework_id: str, part: str = "") -> set[str]:
        """Ids of the running tasks whose id contains ``part``."""
        return {
            task["id"]
            for task in self.tasks(framework_id)
            if task["state"] == "TASK_RUNNING" and part in task["id"]
        }

    def agents(self) -> list[str]:
        return [agent["id"] for agent in self.state()["slaves"] if agent["active"]]

    def control(self, what: str, **body: Any) -> dict[str, Any]:
        """Break the embedded cluster."""
        assert self._cluster is not None
        data = json.dumps(body).encode()
        with urlopen(f"{self._cluster.control}/{what}", data=data, timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def look(self) -> dict[str, Any]:
        """What the embedded cluster says of itself."""
        assert self._cluster is not None
        with urlopen(f"{self._cluster.control}/state", timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def teardown(self, framework_id: str) -> None:
        """End a framework and all its tasks."""
        call = {"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework_id}}}
        headers = {"Content-Type": "application/json"}
        request = Request(f"http://{self.master}/api/v1", json.dumps(call).encode(), headers)
        with contextlib.suppress(HTTPError):
            urlopen(request, timeout=DEADLINE_S).close()


class Egret(Scheduler):
    """The scheduler's process, whose framework is torn down at the end."""

    def __init__(self, folder: Path, mesos: Mesos, *flags: str) -> None:
        super().__init__(folder, mesos.master)
        self.mesos = mesos
        self.flags = flags
        self.framework_id = ""

    def up(self, *, crashpoint: str = "") -> None:
        """Start, and wait until it leads."""
        self.start(*self.flags, crashpoint=crashpoint)
        self.until_leading()
        found = self.get("/v2/info")["frameworkId"]
        assert self.framework_id in {"", found}, "the framework id has changed"
        self.framework_id = found

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def down(self) -> None:
        """Stop, and end the framework with all its tasks, unless the cluster has ended first."""
        self.close()
        with contextlib.suppress(OSError):
            self.mesos.teardown(self.framework_id)
            wait_for(lambda: not self.running(), "the framework's tasks have ended")

    # ------------------------------------------------------------------- HTTP

    def raw(self, method: str, path: str, data: bytes | None = None) -> tuple[int, Any]:
        """Ask with the very bytes given; returns status and JSON, status 0 if nobody answers."""
        request = Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=data,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
        except (OSError, HTTPException):
            return 0, None

    def get(self, path: str) -> Any:
        """Ask until there is an answer: a scheduler may be starting, or too busy (503)."""
        status, body = wait_for(
            lambda: (found := self.ask("GET", path))[0] not in {0, 503} and found, f"GET {path}"
        )
        assert status == 200, f"GET {path}: {status}"
        return body

    def change(self, method: str, path: str, body: Any = None) -> Any:
        """Make a change that must be accepted."""
        data = None if body is None else json.dumps(body).encode()
        status, answer = self.raw(method, path, data)
        assert status in {200, 201, 202, 204}, f"{method} {path}: {status} {answer}"
        return answer

    def deploy(self, app: dict[str, Any]) -> None:
        self.change("POST", "/v2/apps", app)

    def remove(self, app_id: str) -> None:
        self.change("DELETE", f"/v2/apps{app_id}?force=true")

    # ---------------------------------------------------------------- looking

    def running(self, part: str = "") -> set[str]:
        """Ids of the running tasks, as the master sees them."""
        return self.mesos.running(self.framework_id, part)

    def being_killed(self) -> set[str]:
        """Ids of the tasks that were told to end and have not yet, as the master sees them."""
        tasks = self.mesos.tasks(self.framework_id)
        return {task["id"] for task in tasks if task["state"] == "TASK_KILLING"}

    def until_running(self, count: int, part: str = "") -> set[str]:
        """Wait until the master sees exactly so many running tasks; returns their ids."""

        def found() -> set[str] | None:
            now = self.running(part)
            return now if len(now) == count else None

        if count == 0:
            wait_for(lambda: not self.running(part), f"no task of {part!r} runs")
            return set()
        return wait_for(found, f"{count} tasks of {part!r} run")

    def until_quiet(self) -> None:
        """Wait until no deployment is left."""
        wait_for(lambda: self.ask("GET", "/v2/deployments")[1] == [], "all deployments are done")

    def until_settled(self, app_id: str, count: int) -> set[str]:
        """Wait until the app is deployed, and has so many running, healthy tasks."""
        self.until_quiet()

        def is_right() -> bool:
            app = self.get(f"/v2/apps{app_id}")["app"]
            healthy = app["tasksHealthy" if app.get("healthChecks") else "tasksRunning"]
            return app["tasksRunning"] == healthy == count and app["tasksStaged"] == 0

        wait_for(is_right, f"{app_id} has {count} healthy tasks")
        return self.until_running(count, part_of(app_id))

    def pids(self, comm: str = "sleep") -> dict[str, int]:
        """Process of each running task, by task id; ``comm`` is the program it becomes.

        A task counts as running a moment before its shell has become that program.
        """

        def found() -> tuple[dict[str, int]] | None:
            running = self.running()
            pids = pids_of(running, comm)
            return (pids,) if set(pids) == running else None

        return wait_for(found, "every running task has its process")[0]


def part_of(app_id: str) -> str:
    """What the task ids of an app have in common."""
    return app_id.strip("/").replace("/", "_") + "."


def pids_of(task_ids: set[str], comm: str) -> dict[str, int]:
    """Find the processes of tasks by the environment they were started with.

    A shell that starts another program is there twice for a moment: the first of them counts.
    """
    found: dict[str, dict[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if not (entry / "comm").read_text().startswith(comm):
                continue
            for variable in (entry / "environ").read_bytes().split(b"\0"):
                name, _, value = variable.partition(b"=")
                if name == b"MESOS_TASK_ID" and value.decode() in task_ids:
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    found.setdefault(value.decode(), {})[int(entry.name)] = int(parent)
    return {
        task: next(pid for pid, parent in parents.items() if parent not in parents)
        for task, parents in found.items()
    }


@contextlib.contextmanager
def sampled(look: Callable[[], Any]) -> Iterator[list[Any]]:
    """Look again and again meanwhile, and give everything seen; raises what a look raised."""
    seen: list[Any] = []
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set():
            seen.append(look())
            time.sleep(0.03)

    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(run)
        try:
            yield seen
        finally:
            is_over.set()
        looking.result()
