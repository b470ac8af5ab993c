"""A Mesos agent as the executor sees it: the v1 executor API over a real socket, and nothing else.

It starts the executor as a process, records every call, acknowledges updates unless told not to,
and can go away and come back on the same port.
"""

import asyncio
import base64
import json
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from tests.support import free_ports

Json = dict[str, Any]

# Generous: a condition that holds is seen at once, only a broken executor waits this long.
DEADLINE_S = 30.0
FRAMEWORK_ID = "f-0000"
PATIENCE = "20secs"


class FakeAgent:
    """One agent with one executor."""

    def __init__(self, sandbox: Path) -> None:
        self.sandbox = sandbox
        self.calls: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.acknowledges = True
        self.capabilities = ["PARTITION_AWARE", "TASK_KILLING_STATE"]
        (self.port,) = free_ports(1)
        self.executor: asyncio.subprocess.Process | None = None
        self.refusals: list[int] = []
        self._round_trips = 0
        self._executor_id = "x1"
        self._server: asyncio.Server | None = None
        self._unix: asyncio.Server | None = None
        self._stream: asyncio.StreamWriter | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    # -- the agent's life -----------------------------------------------------------------------

    async def listen(self) -> None:
        """Start, always on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def go_away(self) -> None:
        """Die: no listener, every connection closed."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._stream = None
        if self._unix is not None:
            self._unix.close()

    async def listen_on_socket(self, path: str) -> None:
        """Listen on a Unix socket, too."""
        self._unix = await asyncio.start_unix_server(self._serve, path)

    def open_to_all(self) -> None:
        """Let other users pass through the test's directories to the sandbox."""
        self.sandbox.mkdir(exist_ok=True)
        for folder in [self.sandbox, *self.sandbox.parents]:
            if folder.owner() == self.sandbox.owner() and str(folder).startswith(
                gettempdir() + "/"
            ):
                folder.chmod(0o755)

    async def close(self) -> None:
        """End everything, the executor too."""
        if self.executor is not None and self.executor.returncode is None:
            self.acknowledges = True
            self.acknowledge_all()
            self.executor.terminate()
            try:
                await asyncio.wait_for(self.executor.wait(), DEADLINE_S)
            finally:
                if self.executor.returncode is None:
                    self.executor.kill()
        await self.go_away()

    async def start_executor(
        self,
        executor_id: str = "x1",
        argv: tuple[str, ...] = (sys.executable, "-I", "-m", "executor"),
        **env: str,
    ) -> None:
        """Start the executor process with the environment a Mesos agent gives."""
        self._executor_id = executor_id
        self.sandbox.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "MESOS_AGENT_ENDPOINT": f"127.0.0.1:{self.port}",
            "MESOS_FRAMEWORK_ID": FRAMEWORK_ID,
            "MESOS_EXECUTOR_ID": executor_id,
            "MESOS_SANDBOX": str(self.sandbox),
            "MESOS_DIRECTORY": str(self.sandbox),
            "MESOS_CHECKPOINT": "1",
            "MESOS_RECOVERY_TIMEOUT": "15mins",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX": "200ms",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": PATIENCE,
            "EGRET_EXECUTOR_IDLE_TIMEOUT": "10mins",
            **env,
        }
        with (self.sandbox / "stderr").open("ab") as stderr:
            self.executor = await asyncio.create_subprocess_exec(
                *argv, cwd=self.sandbox, env=environment, stderr=stderr
            )

    async def executor_exit(self) -> int:
        """Wait for the executor process to end; return its exit code."""
        assert self.executor is not None
        return await asyncio.wait_for(self.executor.wait(), DEADLINE_S)

    # -- what it says -----------------------------------------------------------------------------

    def send(self, *events: Json) -> None:
        """Send events on the executor's stream, in one piece."""
        assert self._stream is not None, "the executor is not subscribed"
        texts = [json.dumps(event).encode() for event in events]
        records = b"".join(f"{len(text)}\n".encode() + text for text in texts)
        self._stream.write(f"{len(records):x}\r\n".encode() + records + b"\r\n")

    async def launch(self, task_id: str, command: str | Json = "sleep 1000", **fields: Any) -> None:
        """Launch a command task; a string is a shell command."""
        info = {"value": command} if isinstance(command, str) else command
        await self.launch_info(task_info(task_id, command=info, **fields))

    async def launch_info(self, info: Json) -> None:
        """Launch a TaskInfo as soon as the executor is subscribed."""
        await self.subscribed()
        self.send({"type": "LAUNCH", "launch": {"task": info}})

    def kill(self, task_id: str, grace_ns: int | None = None) -> None:
        """Kill a task, with another grace period if one is given."""
        kill: Json = {"task_id": {"value": task_id}}
        if grace_ns is not None:
            kill["kill_policy"] = {"grace_period": {"nanoseconds": grace_ns}}
        self.send({"type": "KILL", "kill": kill})

    def acknowledge(self, status: Json) -> None:
        """Acknowledge an update."""
        acknowledged = {"task_id": status["task_id"], "uuid": status["uuid"]}
        self.send({"type": "ACKNOWLEDGED", "acknowledged": acknowledged})

    def acknowledge_all(self) -> None:
        """Acknowledge every update that came so far, if the executor is there to hear it."""
        for call in self.calls:
            if call["type"] == "UPDATE" and self._stream is not None:
                self.acknowledge(call["update"]["status"])

    # -- what it heard ----------------------------------------------------------------------------

    @property
    def subscriptions(self) -> list[Json]:
        """Bodies of all SUBSCRIBE calls."""
        return [call["subscribe"] for call in self.calls if call["type"] == "SUBSCRIBE"]

    def statuses(self, task_id: str) -> list[Json]:
        """The updates of a task that came as UPDATE calls."""
        found = [call["update"]["status"] for call in self.calls if call["type"] == "UPDATE"]
        return [status for status in found if status["task_id"]["value"] == task_id]

    def states(self, task_id: str) -> list[str]:
        """Their states."""
        return [status["state"] for status in self.statuses(task_id)]

    def all_states(self, task_id: str) -> list[str]:
        """The states of a task's distinct updates, also of those that came in a SUBSCRIBE."""
        found: dict[str, Json] = {}
        for call in self.calls:
            updates = [call["update"]] if call["type"] == "UPDATE" else []
            if call["type"] == "SUBSCRIBE":
                updates = call["subscribe"]["unacknowledged_updates"]
            found.update({update["status"]["uuid"]: update["status"] for update in updates})
        return [s["state"] for s in found.values() if s["task_id"]["value"] == task_id]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after every call that comes in."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log = (self.sandbox / "stderr").read_text()[-4000:]
            states = {call["update"]["status"]["task_id"]["value"] for call in self.calls
                      if call["type"] == "UPDATE"}  # fmt: skip
            heard = {task: self.states(task) for task in states}
            raise AssertionError(
                f"did not come about; heard {heard}; executor says:\n{log}"
            ) from None

    async def poll(self, condition: Callable[[], bool]) -> None:
        """Wait for something that comes about outside of the agent's sight."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.02)

    async def round_trip(self) -> None:
        """Return when the executor has read everything that was sent to it before."""
        self._round_trips += 1
        name = f"round-trip-{self._round_trips}"
        await self.launch_info(task_info(name))
        await self.state(name, "TASK_ERROR")

    async def state(self, task_id: str, state: str) -> Json:
        """Wait for a task's first update with this state; return it."""
        await self.until(lambda: state in self.states(task_id))
        return next(status for status in self.statuses(task_id) if status["state"] == state)

    async def subscribed(self) -> None:
        """Wait until the executor's stream is open."""
        await self.until(lambda: self._stream is not None)

    # -- inside -----------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                headers, call = await _read_request(reader)
                self.headers.append(headers)
                if self._answer(call, writer):
                    self.calls.append(call)
                self._changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self._changed.set()
        finally:
            self._writers.discard(writer)
            if writer is self._stream:
                self._stream = None

    def _answer(self, call: Json, writer: asyncio.StreamWriter) -> bool:
        """Answer a call; False: it was refused."""
        if self.refusals:
            status = self.refusals.pop(0)
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            return False
        if call["type"] == "SUBSCRIBE":
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Type: application/json\r\n\r\n"
            )
            self._stream = writer
            self.send(self._subscribed_event())
            for update in call["subscribe"]["unacknowledged_updates"]:
                if self.acknowledges:
                    self.acknowledge(update["status"])
        else:
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            if call["type"] == "UPDATE" and self.acknowledges and self._stream is not None:
                self.acknowledge(call["update"]["status"])
        return True

    def _subscribed_event(self) -> Json:
        return {
            "type": "SUBSCRIBED",
            "subscribed": {
                "executor_info": {"executor_id": {"value": self._executor_id}},
                "framework_info": {
                    "id": {"value": FRAMEWORK_ID},
                    "capabilities": [{"type": name} for name in self.capabilities],
                },
                "agent_info": {"id": {"value": "S0"}, "hostname": "127.0.0.1"},
                "container_id": {"value": str(uuid.uuid4())},
            },
        }


def task_info(task_id: str, **fields: Any) -> Json:
    """A TaskInfo."""
    return {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": {"value": "S0"},
        "resources": [],
        **fields,
    }


def data_of(**fields: Any) -> str:
    """Egret's own message, as it travels in TaskInfo.data and TaskStatus.data."""
    return base64.b64encode(json.dumps({"egret": fields}).encode()).decode()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def pid_of(agent: FakeAgent, task_id: str) -> int:
    """The process id of a running task, from the executor's log."""

    def lines() -> list[Json]:
        text = (agent.sandbox / "stderr").read_text()
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [e for e in found if e["event"] == "task_started" and e["task_id"] == task_id]

    await agent.poll(lambda: bool(lines()))
    return int(lines()[0]["pid"])


def grace(seconds: float) -> Json:
    """A KillPolicy."""
    return {"grace_period": {"nanoseconds": int(seconds * 1e9)}}


async def _read_request(reader: asyncio.StreamReader) -> tuple[dict[str, str], Json]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    assert head[0] == "POST /api/v1/executor HTTP/1.1"
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
    assert headers["content-type"] == "application/json"
    return headers, json.loads(await reader.readexactly(int(headers["content-length"])))
