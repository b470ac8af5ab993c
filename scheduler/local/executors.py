"""One executor of an agent: its process, its event stream, its tasks.

Each runs in a session of its own and is killed by the kernel when this process dies. Its
environment is what a Mesos agent sets (docs/executor-http-api.md) and a mark by which whatever
descends from it can be found and killed at the end.
"""

import asyncio
import ctypes
import os
import signal
from pathlib import Path

from attrs import define, field

from scheduler.local.guard import ATTEMPTS_MAX, kill_marked
from scheduler.local.httpserver import Stream
from scheduler.local.recordio import encode_chunk
from scheduler.local.resources import JsonObject
from scheduler.local.tasks import TERMINAL_STATES

CLUSTER_MARK = "EGRET_LOCAL_CLUSTER"
TASK_MARK = "EGRET_TASK_ID"
"""Egret's executor gives it to all processes of a task (docs/executor.md)."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@define(eq=False)
class AgentTask:
    """One task on an agent; `state` is the latest its executor told."""

    info: JsonObject
    framework_id: str
    executor: "AgentExecutor | None" = None
    state: str = "TASK_STAGING"
    statuses: list[JsonObject] = field(factory=list[JsonObject])
    container: str | None = None
    kill_wanted: bool = False

    @property
    def id(self) -> str:
        """The task id."""
        return self.info["task_id"]["value"]

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL_STATES

    @property
    def shown_executor_id(self) -> str:
        """The executor as frameworks see it: a command task is its own."""
        custom = self.info.get("executor")
        return custom["executor_id"]["value"] if custom else self.id


@define(eq=False)
class AgentExecutor:
    """One executor: custom, or shared by command tasks of one framework."""

    id: str
    framework_id: str
    info: JsonObject
    is_shared: bool
    directory: Path
    container_id: str
    process: asyncio.subprocess.Process | None = None
    stream: Stream | None = None
    queued: list[JsonObject] = field(factory=list[JsonObject])
    tasks: dict[str, AgentTask] = field(factory=dict[str, AgentTask])
    has_subscribed: bool = False
    is_ending: bool = False
    exit_status: int | None = None
    timer: asyncio.TimerHandle | None = None
    heartbeat: asyncio.TimerHandle | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its process runs (or is about to)."""
        return self.exit_status is None

    @property
    def live_tasks(self) -> list[AgentTask]:
        """Its tasks that have not ended."""
        return [t for t in self.tasks.values() if not t.is_terminal]

    @property
    def shutdown_grace_s(self) -> float:
        """How long it has to leave after SHUTDOWN."""
        grace = self.info.get("shutdown_grace_period", {}).get("nanoseconds")
        return 5.0 if grace is None else float(grace) / 1e9

    def send(self, event: JsonObject) -> None:
        """Send an event on its stream; lost without one."""
        if self.stream is not None:
            self.stream.send(encode_chunk(event))

    def beat(self, stream: Stream, interval_s: float) -> None:
        """Send HEARTBEATs from now on, for as long as this stream is its."""
        if self.heartbeat is not None:
            self.heartbeat.cancel()
        self.heartbeat = asyncio.get_running_loop().call_later(
            interval_s, self._send_heartbeat, stream, interval_s
        )

    def _send_heartbeat(self, stream: Stream, interval_s: float) -> None:
        if self.stream is stream:
            self.send({"type": "HEARTBEAT"})
            self.beat(stream, interval_s)

    def container_status(self) -> JsonObject:
        """Return the ContainerStatus of its tasks' updates."""
        status: JsonObject = {
            "container_id": {"value": self.container_id},
            "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}],
        }
        if self.process is not None:
            status["executor_pid"] = self.process.pid
        return status

    async def start(self, argv: list[str], environment: dict[str, str]) -> None:
        """Start the process in its sandbox.

        Raises:
            OSError: it cannot be started.
        """
        # What one shared by tasks says is nobody's output.
        names = ("executor.log", "executor.log") if self.is_shared else ("stdout", "stderr")
        with (
            (self.directory / names[0]).open("ab") as stdout,
            (self.directory / names[1]).open("ab") as stderr,
        ):
            self.process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=self.directory,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    async def end_orphans(self, mark: str) -> None:
        """Kill what its tasks have left, as Mesos's containerizer does; `mark` is the cluster's."""
        tasks = frozenset(f"{TASK_MARK}={task.id}" for task in self.live_tasks)
        for _ in range(ATTEMPTS_MAX if tasks else 0):
            if not await asyncio.to_thread(kill_marked, f"{CLUSTER_MARK}={mark}", tasks):
                return
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        """Kill its process group at once."""
        if self.process is not None and self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # It ended by itself in this moment.

    def disarm(self) -> None:
        """Stop its timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def executor_environment(
    executor: AgentExecutor, agent_id: str, agent_port: int, *, checkpoint: bool, mark: str
) -> dict[str, str]:
    """Return the environment of an executor's process."""
    directory = str(executor.directory)
    environment = {
        "LIBPROCESS_IP": "127.0.0.1",
        "LIBPROCESS_PORT": "0",
        "MESOS_AGENT_ENDPOINT": f"127.0.0.1:{agent_port}",
        "MESOS_CHECKPOINT": "1" if checkpoint else "0",
        "MESOS_DIRECTORY": directory,
        "MESOS_EXECUTOR_ID": executor.id,
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": f"{executor.shutdown_grace_s:g}secs",
        "MESOS_FRAMEWORK_ID": executor.framework_id,
        "MESOS_HTTP_COMMAND_EXECUTOR": "0",
        "MESOS_SANDBOX": directory,
        "MESOS_SLAVE_ID": agent_id,
        "MESOS_SLAVE_PID": f"slave(1)@127.0.0.1:{agent_port}",
        "PATH": os.environ.get("PATH", os.defpath),
        "PWD": directory,
        CLUSTER_MARK: mark,
    }
    if checkpoint:
        environment["MESOS_RECOVERY_TIMEOUT"] = "15mins"
        environment["MESOS_SUBSCRIPTION_BACKOFF_MAX"] = "2secs"
    command = executor.info.get("command", {})
    for variable in command.get("environment", {}).get("variables", []):
        environment[variable["name"]] = variable.get("value", "")
    return environment


def argv_of(command: JsonObject) -> list[str]:
    """Return the arguments of the process that a CommandInfo asks for."""
    if command.get("shell", True):
        return ["/bin/sh", "-c", str(command.get("value", ""))]
    arguments = [str(a) for a in command.get("arguments", [])]
    # The first argument is the process's name by convention; the program is `value`.
    return [str(command.get("value", "")), *arguments[1:]]


def task_ids_of(event: JsonObject) -> set[str]:
    """Return the task that a queued LAUNCH is for; a group is delivered as a whole."""
    if event["type"] == "LAUNCH":
        return {event["launch"]["task"]["task_id"]["value"]}
    return set()
