"""Show what tasks wrote: ``egret app logs``, read from the sandboxes that the Mesos agents serve.

Where the files cannot be read from here (an agent that wants a login, or is not reachable), the
command says where they are.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import requests
from attrs import frozen

from scheduler.cli.client import app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.info import mesos_url
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.session import APP_ID, Session, connected

_TIMEOUT_S = 10
_FOLLOW_S = 1.0
_TAIL_BYTES = 64 * 1024


@click.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@click.option("--task", "task_id", metavar="TASK", help="Only this task.")
@click.option("--stderr", "is_stderr", is_flag=True, help="Standard error, not standard output.")
@click.option("--lines", default=20, show_default=True, type=click.IntRange(min=0), metavar="N")
@click.option("--follow", is_flag=True, help="Go on as more is written, until Ctrl-C.")
@connected
def logs(
    session: Session,
    app_id: str,
    *,
    task_id: str | None,
    is_stderr: bool,
    lines: int,
    follow: bool,
) -> None:
    """Show the last lines that an app's tasks wrote."""
    tasks = _tasks_of(session.client.get(app_path(app_id))["app"], task_id)
    if not tasks:
        raise Failure(ExitCode.NOT_FOUND, f"{app_id} has no {'such ' if task_id else ''}task.")
    mesos = Mesos(_master_of(session))
    name = "stderr" if is_stderr else "stdout"
    files = [mesos.file_of(task, name) for task in tasks]
    for file in files:
        _print(file, "\n".join(file.tail(lines)), titled=len(files) > 1)
    if follow:
        _follow(files)


def _tasks_of(app: Fields, task_id: str | None) -> list[Fields]:
    """Choose the tasks to show; of an app without any, the one that failed last."""
    failure = fields(app.get("lastTaskFailure"))
    ended = {"id": failure.get("taskId"), "slaveId": failure.get("slaveId")}
    tasks = objects(app.get("tasks"))
    if task_id is None:
        return tasks or ([ended] if failure else [])
    return [task for task in [*tasks, ended] if task["id"] == task_id]


def _master_of(session: Session) -> str:
    master = mesos_url(session.client.get("/v2/info", {"embed": "egret"}))
    if master is None:
        raise Failure(ExitCode.NOT_REACHABLE, "The scheduler has found no Mesos master.")
    return master


@frozen
class SandboxFile:
    """A file in a task's sandbox, as its agent serves it."""

    task_id: str
    agent_url: str
    path: str

    def size(self) -> int:
        """Return its length in bytes."""
        return int(_fetch(self._url(-1), self.where)["offset"])

    def read(self, offset: int) -> str:
        """Return what was written from `offset` on."""
        return str(_fetch(self._url(offset), self.where)["data"])

    def tail(self, lines: int) -> list[str]:
        """Return its last lines."""
        text = self.read(max(0, self.size() - _TAIL_BYTES))
        return text.splitlines()[-lines:] if lines else []

    @property
    def where(self) -> str:
        """Say where the file is."""
        return f"{self.path} on the agent at {self.agent_url}"

    def _url(self, offset: int) -> str:
        return f"{self.agent_url}/files/read?path={self.path}&offset={offset}"


class Mesos:
    """The parts of Mesos's operator API that lead to a sandbox."""

    def __init__(self, master: str) -> None:
        self._scheme = urlsplit(master).scheme
        self._agents = {
            agent["id"]: str(agent["pid"]).rpartition("@")[2]
            for agent in _fetch(f"{master}/slaves", f"the Mesos master at {master}")["slaves"]
        }
        self._states: Fields = {}

    def file_of(self, task: Fields, name: str) -> SandboxFile:
        """Find a file in the sandbox of a task.

        Raises:
            Failure: its agent does not answer or does not know the task.
        """
        address = self._agents.get(str(task.get("slaveId")))
        if address is None:
            raise Failure(ExitCode.NOT_FOUND, f"The agent of {task['id']} is not known to Mesos.")
        url = f"{self._scheme}://{address}"
        if url not in self._states:
            self._states[url] = _fetch(f"{url}/state", f"the agent at {url}")
        for executor in _executors(self._states[url]):
            if any(one["id"] == task["id"] for one in _tasks_in(executor)):
                shared = executor["id"] != task["id"]
                inner = f"/tasks/{task['id']}" if shared else ""
                return SandboxFile(task["id"], url, f"{executor['directory']}{inner}/{name}")
        raise Failure(ExitCode.NOT_FOUND, f"The agent at {url} does not know {task['id']}.")


def _executors(state: Fields) -> Iterator[Fields]:
    # Mesos calls a framework completed on an agent as soon as nothing of it runs there.
    for framework in objects(state.get("frameworks")) + objects(state.get("completed_frameworks")):
        yield from objects(framework.get("executors"))
        yield from objects(framework.get("completed_executors"))


def _tasks_in(executor: Fields) -> list[Fields]:
    return [*objects(executor.get("tasks")), *objects(executor.get("completed_tasks"))]


def _fetch(url: str, what: str) -> Any:
    session = requests.Session()
    session.trust_env = urlsplit(url).hostname not in {"127.0.0.1", "localhost"}
    try:
        response = session.get(url, timeout=_TIMEOUT_S)
        response.raise_for_status()
        return response.json()
    except (requests.RequestException, ValueError) as error:
        raise Failure(ExitCode.NOT_REACHABLE, f"Cannot read {what}: {error}") from None


def _follow(files: list[SandboxFile]) -> None:
    offsets = {file: file.size() for file in files}
    try:
        while True:
            time.sleep(_FOLLOW_S)
            for file, offset in offsets.items():
                text = file.read(offset)
                if text:
                    offsets[file] = offset + len(text.encode())
                    _print(file, text.removesuffix("\n"), titled=len(files) > 1)
    except KeyboardInterrupt:
        sys.exit(ExitCode.OK)


def _print(file: SandboxFile, text: str, *, titled: bool) -> None:
    if titled:
        click.echo(click.style(f"==> {file.task_id} <==", bold=True))
    if text:
        click.echo(text)
