"""Look at a demo's apps through the scheduler's API, and at Consul through its own.

Ready means what a person would call ready: every wanted instance runs, its checks pass, nothing is
being deployed, and, where Consul is on, Consul holds an entry of every task that has a port.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from attrs import frozen

from scheduler.cli.client import Client, app_path
from scheduler.cli.jsonvalues import fields, items, objects
from scheduler.cli.tasks import health_text, state_text
from scheduler.cli.waiting import reasons_of

_TASK_META = "egret-task"
_CONSUL_TIMEOUT_S = 3


@frozen
class TaskView:
    id: str
    state: str
    health: str
    agent: str
    host: str
    ports: tuple[int, ...]
    pid: int | None
    is_registered: bool | None
    """None where it has nothing to register."""


@frozen
class AppView:
    id: str
    wanted: int
    running: int
    healthy: int | None
    """None: it has no checks."""
    is_deploying: bool
    tasks: tuple[TaskView, ...]
    failure: str | None
    done: int = 0
    """Instances that have done their work and are not launched again."""

    @property
    def is_ready(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.lack is None

    @property
    def lack(self) -> str | None:
        """Say what is missing first; None if nothing is."""
        wanted = self.wanted - self.done
        if self.running < wanted:
            return f"{self.running} of {wanted} running"
        if self.healthy is not None and self.healthy < wanted:
            return f"{self.healthy} of {wanted} healthy"
        if self.is_deploying or len(self.tasks) != wanted:
            return "being deployed"
        unknown = sum(task.is_registered is False for task in self.tasks)
        return f"{unknown} not registered in Consul yet" if unknown else None


@frozen
class Snapshot:
    apps: tuple[AppView, ...]
    waiting: tuple[str, ...]

    def ready(self, app_ids: Sequence[str]) -> bool:
        """Tell whether all of these apps are ready."""
        views = {app.id: app for app in self.apps}
        return all(one in views and views[one].is_ready for one in app_ids)

    def lacks(self, app_ids: Sequence[str]) -> list[str]:
        """Say what each of these apps lacks, and why, where that is known."""
        views = {app.id: app for app in self.apps}
        lines: list[str] = []
        for app_id in app_ids:
            view = views.get(app_id)
            lack = "is gone" if view is None else view.lack
            if lack is not None:
                failure = view.failure if view is not None else None
                lines.append(
                    f"{app_id}: {lack}" + (f"; last failure: {failure}" if failure else "")
                )
        return [*lines, *self.waiting]


def look(client: Client, consul: str | None) -> Snapshot:
    """Look at everything once.

    Raises:
        Failure: the scheduler does not answer.
    """
    listed = client.get("/v2/apps")["apps"]
    registered = None if consul is None else registered_tasks(consul)
    pids = task_pids()
    apps: list[AppView] = []
    for entry in sorted(listed, key=lambda one: one["id"]):
        body = client.find(app_path(entry["id"]), {"embed": "app.ended"})
        if body is not None:
            apps.append(_view(body["app"], registered, pids))
    lacking = {app.id for app in apps if not app.is_ready}
    return Snapshot(tuple(apps), tuple(reasons_of(client, lacking)) if lacking else ())


def _view(
    app: dict[str, Any], registered: frozenset[str] | None, pids: Mapping[str, int]
) -> AppView:
    failure = fields(app.get("lastTaskFailure"))
    if failure.get("state") == "TASK_FINISHED":
        failure = {}
    wants_entries = fields(app.get("discovery")).get("enabled", True)
    tasks = objects(app.get("tasks"))
    return AppView(
        id=app["id"],
        wanted=app["instances"],
        running=app.get("tasksRunning", 0),
        healthy=app.get("tasksHealthy", 0) if app.get("healthChecks") else None,
        is_deploying=bool(app.get("deployments")),
        tasks=tuple(
            TaskView(
                id=task["id"],
                state=state_text(task).plain,
                health=health_text(task).plain,
                agent=str(task.get("slaveId", "-")).rpartition("-")[2],
                host=str(task.get("host", "-")),
                ports=tuple(items(task.get("ports"))),
                pid=pids.get(task["id"]),
                is_registered=task["id"] in registered
                if registered is not None and wants_entries and items(task.get("ports"))
                else None,
            )
            for task in sorted(tasks, key=lambda one: (one.get("stagedAt", ""), one["id"]))
        ),
        failure=failure.get("message") or failure.get("state"),
        done=fields(app.get("ended")).get("finished", 0),
    )


def registered_tasks(consul: str) -> frozenset[str]:
    """Return the ids of the tasks that Consul's catalog holds an entry of."""
    session = requests.Session()
    session.trust_env = False
    found: set[str] = set()
    try:
        services = session.get(f"{consul}/v1/catalog/services", timeout=_CONSUL_TIMEOUT_S).json()
        for name in services:
            url = f"{consul}/v1/catalog/service/{name}"
            for entry in session.get(url, timeout=_CONSUL_TIMEOUT_S).json():
                found.add(str(fields(entry.get("ServiceMeta")).get(_TASK_META, "")))
    except (requests.RequestException, ValueError):
        return frozenset()  # Not registered as far as we can see; the next look may see more.
    return frozenset(found)


def task_pids() -> dict[str, int]:
    """Find the process of each task on this machine by the task id in its environment.

    A task's first process leads a session of its own; what it starts is not shown.
    """
    found: dict[str, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        pid = int(folder.name)
        try:
            if os.getsid(pid) != pid:
                continue
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # It has ended, or is another user's.
        for variable in environment.split(b"\0"):
            if variable.startswith(b"MESOS_TASK_ID="):
                found[variable.partition(b"=")[2].decode(errors="replace")] = pid
    return found
