"""Talk to the Mesos agent: pymesos's executor driver with a transport that does not lose things.

Kept of pymesos: the dispatch of events, the handlers, the builders of calls, the interface of the
executor. Replaced: everything that touches a socket, and the life of status updates.

- An update is in the journal before it is sent, and leaves it when the agent acknowledged it. A
  lost connection therefore loses nothing: SUBSCRIBE carries the journal.
- A lost stream is retried at random moments, at most MESOS_SUBSCRIPTION_BACKOFF_MAX apart (else the
  agent takes us for hung), for at most MESOS_RECOVERY_TIMEOUT. Without checkpointing there is
  nothing to return to: the executor shuts down at once.
- Everything runs on one asyncio loop; a call from the executor only queues.

Source: Mesos's executor HTTP API document.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

import h11

from executor import logs
from executor.http import HttpConnection
from executor.journal import Journal
from executor.mesos import Executor, Json, MesosExecutorDriver, encode_data
from executor.pulse import Pulse, within
from executor.recordio import FramingError, RecordDecoder
from executor.settings import Settings

_PATH = "/api/v1/executor"
_CALL_TIMEOUT_S = 10.0
_CALL_ATTEMPTS = 3
_CONNECTION_ERRORS = (OSError, h11.ProtocolError, FramingError, asyncio.TimeoutError, ValueError)


class AgentRefused(ConnectionError):
    """The agent answered a call with an error."""


class TaskExecutor(Executor):
    """pymesos's executor interface, with what it does not hand on."""

    def killTask(
        self,
        driver: MesosExecutorDriver,
        taskId: Json,
        killPolicy: Json | None = None,
    ) -> None:
        """Kill a task; killPolicy, if there is one, stands in for the task's own."""

    def acknowledged(self, driver: MesosExecutorDriver, task_id: str) -> None:
        """The agent has one more update of this task safe."""


class AgentDriver(MesosExecutorDriver):
    """The connection of one executor to its agent. Construct it inside the running loop."""

    def __init__(self, executor: TaskExecutor, settings: Settings) -> None:
        super().__init__(executor)
        self._executor = executor
        self.checkpoint = settings.checkpoint
        self.journal = Journal()
        self._settings = settings
        # Holds no more than the journal does, and some messages.
        self._calls: deque[Json] = deque()
        self._changed = Pulse()
        self._is_stopping = False
        self._subscribed = False
        self._stream: HttpConnection | None = None

    @property
    def connected(self) -> bool:
        """Whether the agent's SUBSCRIBED came and its stream is open."""
        return self._subscribed

    # -- life cycle ---------------------------------------------------------------------------

    async def run_until_stopped(self) -> None:
        """Stay subscribed until `stop`, or until there is no agent to go back to."""
        self._started = True
        lost_at = time.monotonic()
        while not self._is_stopping:
            try:
                await self._follow_stream()
            except _CONNECTION_ERRORS as error:
                if not self._is_stopping:
                    logs.warning("agent_stream_lost", error=repr(error))
            if self._subscribed:
                self._subscribed = False
                lost_at = time.monotonic()
                self.on_close()
            away_s = time.monotonic() - lost_at
            if not self._is_stopping and away_s > self._settings.recovery_timeout_s:
                logs.warning("agent_did_not_return", away_s=round(away_s))
                self.on_shutdown()
                return
            pause_s = random.uniform(0.1, 0.9) * self._settings.subscription_backoff_max_s  # noqa: S311 (only to spread)
            await self._changed.until(lambda: self._is_stopping, pause_s)

    def stop(self) -> None:
        """End `run_until_stopped` soon. Returns at once."""
        self._started = False
        self._is_stopping = True
        self._changed.beat()
        if self._stream is not None:
            self._stream.close()

    # -- the stream ---------------------------------------------------------------------------

    async def _follow_stream(self) -> None:
        stream = await HttpConnection.open(self._settings.agent, _CALL_TIMEOUT_S)
        self._stream = stream
        sender: asyncio.Task[None] | None = None
        try:
            asking = stream.request("POST", _PATH, self._headers(), self._subscribe_body())
            head = await within(_CALL_TIMEOUT_S, asking)
            if head.status != 200:
                text = await within(_CALL_TIMEOUT_S, stream.read_body())
                raise AgentRefused(f"SUBSCRIBE: {head.status} {text[:200]!r}")
            sender = asyncio.ensure_future(self._send_calls(stream))
            await self._read_events(stream)
        finally:
            self._stream = None
            stream.close()
            if sender is not None:
                sender.cancel()

    async def _read_events(self, stream: HttpConnection) -> None:
        decoder = RecordDecoder()
        while True:
            chunk = await within(self._settings.heartbeat_deadline_s, stream.read_chunk())
            if chunk is None:
                return
            for record in decoder.feed(chunk):
                self._handle(json.loads(record))

    def _handle(self, event: dict[str, Any]) -> None:
        try:
            self.process_event(event)
        except Exception:  # noqa: BLE001 (one bad event must not end the other tasks)
            logs.failure("event_failed", type=event.get("type"))

    def _subscribe_body(self) -> bytes:
        # What waits in the queue is in the journal as well; it must not go out twice.
        kept = [call for call in self._calls if call["type"] != "UPDATE"]
        self._calls.clear()
        self._calls.extend(kept)
        body: Json = {
            "type": "SUBSCRIBE",
            "framework_id": self.framework_id,
            "executor_id": self.executor_id,
            "subscribe": {
                "unacknowledged_tasks": self.journal.unacknowledged_tasks,
                "unacknowledged_updates": [
                    {"status": status} for status in self.journal.unacknowledged_updates
                ],
            },
        }
        return json.dumps(body).encode()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._settings.token:
            headers["Authorization"] = f"Bearer {self._settings.token}"
        return headers

    # -- calls --------------------------------------------------------------------------------

    def sendStatusUpdate(self, status: dict[str, Any]) -> None:
        """Journal an update and queue it. It reaches the agent now or with the next SUBSCRIBE."""
        # Fractions of a second: several updates a second must not look simultaneous.
        status = {
            "source": "SOURCE_EXECUTOR",
            "executor_id": self.executor_id,
            "uuid": encode_data(uuid.uuid4().bytes),
            "timestamp": time.time(),
            **status,
        }
        self.journal.add_update(status)
        super().sendStatusUpdate(status)

    def _send(
        self,
        body: Json | str,
        path: str = _PATH,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Queue a call: what pymesos's builders end in. They give a JSON object."""
        del path, method, headers
        assert not isinstance(body, str)
        self._calls.append(body)
        self._changed.beat()
        return {}

    async def _send_calls(self, stream: HttpConnection) -> None:
        """Send queued calls in their order while the stream lives.

        A call that does not get through although the stream stands ends the stream: the journal
        then goes out again with the next SUBSCRIBE.
        """
        connection: HttpConnection | None = None
        try:
            while True:
                await self._changed.until(lambda: bool(self._calls) and self._subscribed)
                call = self._calls.popleft()
                connection = await self._deliver(connection, json.dumps(call).encode())
        except _CONNECTION_ERRORS as error:
            logs.warning("agent_call_failed", error=repr(error))
            stream.close()
        finally:
            if connection is not None:
                connection.close()

    async def _deliver(self, connection: HttpConnection | None, body: bytes) -> HttpConnection:
        for attempt in range(1, _CALL_ATTEMPTS + 1):
            if connection is None or not connection.reusable:
                connection = await HttpConnection.open(self._settings.agent, _CALL_TIMEOUT_S)
            try:
                asking = connection.request("POST", _PATH, self._headers(), body)
                head = await within(_CALL_TIMEOUT_S, asking)
                answer = await within(_CALL_TIMEOUT_S, connection.read_body())
            except _CONNECTION_ERRORS:
                # An idle connection may have been closed under us. Updates may arrive twice:
                # the agent knows them by their uuid.
                connection.close()
                connection = None
                if attempt == _CALL_ATTEMPTS:
                    raise
                continue
            if head.status // 100 == 2:
                return connection
            connection.close()
            raise AgentRefused(f"{head.status} {answer[:200]!r}")
        raise AssertionError("unreachable: the last attempt returns or raises")

    # -- events -------------------------------------------------------------------------------

    def on_subscribed(self, info: dict[str, Any]) -> None:
        """Open the gate for calls, then tell the executor."""
        self._subscribed = True
        self._changed.beat()
        logs.info("subscribed", agent_id=info.get("agent_info", {}).get("id", {}).get("value"))
        super().on_subscribed(info)

    def on_launch(self, event: Json) -> None:
        """Launch a task, unless the agent only says it again."""
        task_info: Json = event["task"]
        if self.journal.add_task(task_info):
            self.executor.launchTask(self, task_info)
        else:
            logs.info("launch_repeated", task_id=task_info["task_id"]["value"])

    def on_launch_group(self, event: Json) -> None:
        """Hand a group's new tasks to the executor."""
        tasks: list[Json] = event["task_group"]["tasks"]
        fresh = [task for task in tasks if self.journal.add_task(task)]
        if fresh:
            self.executor.launchTaskGroup(self, fresh)

    def on_kill(self, event: Json) -> None:
        """Hand a kill to the executor, with the policy that overrides the task's own."""
        self._executor.killTask(self, event["task_id"], event.get("kill_policy"))

    def on_acknowledged(self, event: Json) -> None:
        """Take an update out of the journal."""
        task_id: str = event["task_id"]["value"]
        self.journal.acknowledge(task_id, event["uuid"])
        self._executor.acknowledged(self, task_id)

    def on_shutdown(self) -> None:
        """Let the executor end its tasks; it stops the driver when they are gone."""
        logs.info("shutdown")
        self.executor.shutdown(self)

    def on_close(self) -> None:
        """Tell the executor that the agent is away; without checkpointing that is the end."""
        self.executor.disconnected(self)
        if not self.checkpoint and not self._is_stopping:
            self.on_shutdown()
            self.stop()
